"""`chopmark witness`: cosigning logs of others."""

from chopmark.cli.context import Given
from chopmark.cli.pin import pin_source
from chopmark.cli.terminal import say, say_fields, say_json, styled
from chopmark.service.token import create_token_witness_key


def initialise(*, options: Given) -> int:
    """Make the key in the token by which logs of others are cosigned; once for each gateway.

    It is another key than the one that policies name, and no policy may contain it: for logs of
    others a gateway vouches for what it was shown only. The gateway uses it from its next start
    on, for the logs in the [[witness.log]] blocks of its configuration.

    The PIN of the token is read from $CREDENTIALS_DIRECTORY/hsm-pin, or asked for on the terminal.
    """
    config = options.load_config()
    key = create_token_witness_key(config, pin_source(config))
    if options.json:
        say_json({"witness_vkey": key.encode()})
        return 0
    say("made in the token: ", styled(config.hsm.witness_label, "bold"))
    say_fields([("witness_vkey", key.encode())])
    say()
    say("next: add [[witness.log]] blocks to the configuration, and start the gateway again")
    return 0
