"""`chopmark hsm csr`: a certificate request for a TLS key that lives in the token."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chopmark.cli.context import Given
from chopmark.cli.pin import pin_source
from chopmark.cli.terminal import say, say_json, styled
from chopmark.client.files import check_creatable, write_new
from chopmark.core.inert import clean
from chopmark.service.transport_key import request_certificate


def csr(
    output: Path,
    /,
    *,
    common_name: str,
    dns: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    label: str = "chopmark-tls",
    generate: Annotated[bool, Parameter(negative="")] = False,
    options: Given,
) -> int:
    """Write a certificate request (PKCS#10) for a TLS key that lives in the token.

    The key is P-256, and never leaves the token. Keys of log, cosigner and witness are refused,
    whatever they are called: they sign nothing but texts of their own.

    The PIN of the token is read from $CREDENTIALS_DIRECTORY/hsm-pin, or asked for on the terminal.

    Args:
        output: The file for the request, in PEM; nothing is overwritten.
        common_name: Common name of the subject; the broker takes the member id, such as hk-1.
        dns: A DNS name of the host; repeat it for several.
        label: Label of the key in the token.
        generate: Make the key first. Without this it must be there.
    """
    config = options.load_config()
    check_creatable(output)
    source = pin_source(config)
    made = request_certificate(config, common_name, dns, label, source, new=generate)
    write_new(output, made)
    if options.json:
        say_json({"request": str(output), "label": label, "generated": generate})
        return 0
    say(styled(clean(output), "bold"), f"  for the key {clean(label)}")
    say("look at it: ", clean(f"openssl req -in {output} -noout -text -verify"))
    return 0
