"""`chopmark audit`: who did what at this gateway, whether that is whole, and proof of it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chopmark.cli.context import Given, Options
from chopmark.cli.terminal import say, say_fields, say_json, say_table, styled
from chopmark.core.errors import UsageError
from chopmark.core.inert import clean

if TYPE_CHECKING:
    from chopmark.core.audit_proof import ProvenRecord
    from chopmark.core.policy import Policy
    from chopmark.ledger.audit import Logged
    from chopmark.ledger.audit_check import AuditReport
    from chopmark.ledger.fsck import Finding

FINDINGS: Final = 10
"""Exit code when something is wrong."""
_PAGE: Final = 1000
_LARGEST: Final = 2**30
"""Bytes of a file of days: years have some MB."""


def show(
    *,
    day: str | None = None,
    after: int | None = None,
    limit: int = 50,
    options: Given,
) -> int:
    """Show records of the audit log; the newest ones by default.

    Args:
        day: Show the records of this day (UTC), such as 2026-11-22.
        after: Show the records with a greater number than this.
        limit: Show at most so many records.
    """
    if limit < 1:
        raise UsageError("usage", f"--limit is {limit}", hint="1 or more")
    with options.connect() as gateway:
        start = after
        if start is None:
            start = -1 if day else max(gateway.audit(None, -1, 1)["next"] - limit, 0) - 1
        records: list[dict[str, Any]] = []
        while len(records) < limit:
            page = gateway.audit(day, start, min(limit - len(records), _PAGE))["records"]
            if not page:
                break
            records += page
            start = page[-1]["number"]
    if options.json:
        say_json(records)
    elif records:
        headings = ("number", "time", "actor", "action", "outcome", "about")
        say_table(headings, [_row(record) for record in records], whole=headings[:5])
    else:
        say(styled("no records", "dim"))
    return 0


def check(
    file: Path | None = None,
    /,
    *,
    policy: Path | None = None,
    log_key: str | None = None,
    options: Given,
) -> int:
    """Check this gateway's audit log, or the proof of one record. Changes nothing.

    The audit log is checked from the bytes on disk: each record is what was chained to the one
    before, and each day's root is the one in the ledger. May run beside the gateway. A FILE that
    `audit prove` or `audit prune` wrote is checked offline, by the log key of the gateway that it
    is from. The exit code is 0 if all is well, and 10 with findings.

    Args:
        file: The proof of one record, or the days that `audit prune` took out.
        policy: The policy that names the gateway's log key (`chopmark peers policy` prints it).
        log_key: The gateway's log key itself, as `chopmark peers export` prints it.
    """
    if file is not None:
        return _check_file(file, _read_policy(policy, log_key), options)
    if policy is not None or log_key is not None:
        raise UsageError("usage", "a policy or a key is for the proof of a record: name that, too")
    from chopmark.ledger.audit_check import check_audit
    from chopmark.service.places import log_path

    return _show_report(check_audit(log_path(options.load_config().gateway.state)), options)


def prove(number: int, /, *, output: Path | None = None, options: Given) -> int:
    """Prove one record to a third party, and none of the others.

    The proof can be had once the record's day (UTC) is over and its root is in the ledger.

    Args:
        number: Of the record, as `chopmark audit show` tells it.
        output: Write it to this file instead of the terminal.
    """
    from chopmark.client.files import check_creatable, write_new

    if output is not None:
        check_creatable(output)
    with options.connect() as gateway:
        data = gateway.audit_proof(number)
    if output is not None:
        write_new(output, data)
        if options.json:
            say_json({"record": number, "proof_file": str(output)})
        else:
            say(f"record {number}  ", clean(output))
    elif options.json:
        say_json({"record": number, "proof": data.decode()})
    else:
        sys.stdout.write(data.decode())
    return 0


def prune(*, before: str, output: Path, options: Given) -> int:
    """Take the records of old days out of the audit log, into a file. Their roots stay.

    Only days whose entry in the ledger is signed are taken out; the file is checked first. `audit
    check FILE` checks it again at any time. May run beside the gateway.

    Args:
        before: Take out the days before this one (UTC), such as 2026-01-01.
        output: The file to write; best on another disk.
    """
    from hashlib import sha256

    from chopmark.client.files import check_creatable, read_bounded, write_new
    from chopmark.core.audit import is_date
    from chopmark.service.audit_local import take_out
    from chopmark.service.places import log_path

    if not is_date(before):
        raise UsageError("usage", f"not a date: {before}", hint="such as 2026-01-01")
    path = log_path(options.load_config().gateway.state)
    check_creatable(output)
    days, data, policy = _export(path, before)
    if days:
        write_new(output, data, 0o600)
        written = read_bounded(output, len(data))
        _check_written(written, policy, days)
        take_out(path, days, before, sha256(written).hexdigest())
    records = sum(one.day.count for one in days)
    if options.json:
        file = str(output) if days else None
        say_json({"days": len(days), "records": records, "file": file})
    elif days:
        say(f"{records} records of {len(days)} days are in ", clean(output), " and here no more")
    else:
        say(f"no day before {before} has records that may go")
    return 0


def _export(path: Path, before: str) -> "tuple[list[Logged], bytes, Policy]":
    """The days that may go, their file, and the policy under which it must hold."""
    from contextlib import closing

    from chopmark.core.policy import Policy
    from chopmark.ledger.audit import find_prunable
    from chopmark.ledger.reader import Reader
    from chopmark.ledger.store import read_keys, read_state
    from chopmark.service.audit_export import export_days

    with closing(Reader(path)) as reader:
        state = reader.look(read_state)
        days = reader.look(find_prunable, before, state.head.size)
        return days, export_days(reader, state, days), Policy((read_keys(path)[0],))


def _check_written(data: bytes, policy: "Policy", days: "list[Logged]") -> None:
    from chopmark.core.errors import InternalError
    from chopmark.service.audit_export import check_export

    findings: list[Finding] = []
    made = check_export(data, policy, findings.append)
    if findings or made.records != sum(one.day.count for one in days):
        message = findings[0].message if findings else "the file lacks records"
        hint = "nothing was taken out; run `chopmark audit check`"
        raise InternalError("bad-export", message, hint=hint)


def _row(record: dict[str, Any]) -> list[object]:
    about = ", ".join(f"{name} {value}" for name, value in record["about"].items())
    return [*(record[key] for key in ("number", "time", "actor", "action", "outcome")), about]


def _show_report(report: "AuditReport", options: Options) -> int:
    fields = {
        "records": report.records,
        "days": report.days,
        "logged": report.logged,
        "pruned": report.pruned,
        "earlier": report.earlier,
        "chain": report.chain.hex(),
    }
    if options.json:
        found = [{"code": one.code, "message": one.message} for one in report.findings]
        say_json(fields | {"findings": found})
    else:
        well = styled(*(("findings", "red") if report.findings else ("ok", "green")))
        say(styled("audit log", "bold"), "  ", well)
        say_fields([(name, value) for name, value in fields.items() if name != "earlier"])
        if report.earlier:
            say(f"  {report.earlier} roots in the ledger are of days before this audit log began:")
            say("  their records were lost with an earlier database, or are in a backup")
        for one in report.findings:
            say("  ", styled(one.code, "red"), "  ", clean(one.message))
    return FINDINGS if report.findings else 0


def _read_policy(policy: Path | None, log_key: str | None) -> "Policy":
    from chopmark.client.files import read_bounded
    from chopmark.core.keys import parse_vkey
    from chopmark.core.policy import MAX_POLICY, Policy, parse_policy

    if (policy is None) == (log_key is None):
        hint = "the gateway that the proof is from tells both: `chopmark peers policy`, `… export`"
        raise UsageError("usage", "name either --policy or --log-key", hint=hint)
    if policy is not None:
        return parse_policy(read_bounded(policy, MAX_POLICY))
    return Policy((parse_vkey(log_key or ""),))


def _check_file(file: Path, policy: "Policy", options: Options) -> int:
    """Check what `prove` or `prune` wrote."""
    from chopmark.client.files import read_bounded
    from chopmark.service.audit_export import check_export, is_export

    data = read_bounded(file, _LARGEST)
    if not is_export(data):
        return _check_proof(file, data, policy, options)
    findings: list[Finding] = []
    made = check_export(data, policy, findings.append)
    fields = {"origin": made.origin, "days": made.days, "records": made.records}
    fields |= {"from": made.first, "to": made.last}
    if options.json:
        found = [{"code": one.code, "message": one.message} for one in findings]
        say_json({"file": str(file), **fields, "findings": found})
        return FINDINGS if findings else 0
    say(styled(*(("findings", "red") if findings else ("ok", "green"))), "  ", clean(file))
    say_fields(list(fields.items()))
    for one in findings:
        say("  ", styled(one.code, "red"), "  ", clean(one.message))
    return FINDINGS if findings else 0


def _check_proof(file: Path, data: bytes, policy: "Policy", options: Options) -> int:
    from chopmark.core.audit_proof import parse_audit_proof, verify_audit_proof
    from chopmark.core.errors import RefusedError

    proof = parse_audit_proof(data)
    try:
        proven = verify_audit_proof(proof, policy)
    except RefusedError as error:
        finding = {"code": error.code, "message": error.message}
        if options.json:
            say_json({"file": str(file), "findings": [finding]})
        else:
            say(styled("not proven", "red"), "  ", clean(error.message))
        return FINDINGS
    _show_proven(file, proof.index, proven, options)
    return 0


def _show_proven(file: Path, number: int, proven: "ProvenRecord", options: Options) -> None:
    from chopmark.core.wording import format_time

    record, entry = proven.record, proven.proven
    origin = entry.head.checkpoint.origin
    by = None if entry.existed_by is None else format_time(entry.existed_by * 1000)
    fields: dict[str, object] = {
        "number": number,
        "time": format_time(record.time),
        "actor": record.actor,
        "action": record.action,
        "outcome": record.outcome,
        "about": dict(record.about),
        "origin": origin,
        "entry": entry.index,
        "logged_at": format_time(proven.logged_at),
        "existed_by": by,
    }
    if options.json:
        say_json({"file": str(file), "findings": [], **fields})
        return
    say(styled("proven", "green"), "  ", clean(f"the audit log of {origin} holds this record"))
    about = ", ".join(f"{name} {value}" for name, value in record.about.items())
    names = {"entry": f"{origin}#{entry.index}", "about": about, "origin": None}
    say_fields([(key.replace("_", " "), names.get(key, it)) for key, it in fields.items()])
