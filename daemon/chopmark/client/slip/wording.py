"""What is printed on every slip, in English and in two kinds of Chinese."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["zh-Hant", "zh-Hans"]
"""What stands beside the English."""


@dataclass(frozen=True, slots=True)
class Words:
    """The wording of one language; `{…}` is filled in.

    Attributes:
        title: what the page is.
        notice: what must be understood before anything else; `reason` says why.
        how: the heading over `steps`.
        private: what is added where the attestation is blinded.
        foot: what the page is made of.
        hidden: in place of the digests of a blinded attestation.
        alone: in place of witnesses where nobody has to countersign.
        claim: said of the date where nobody has countersigned.
        replaces: the fact that an older attestation was replaced.
    """

    title: str
    notice: str
    reason: str
    institution: str
    kind: str
    existed_by: str
    claimed: str
    valid_until: str
    replaces: str
    witnesses: str
    digests: str
    entry: str
    hidden: str
    alone: str
    claim: str
    how: str
    steps: tuple[str, ...]
    private: str
    foot: str


ENGLISH: Final = Words(
    title="Verification slip",
    notice="This slip says nothing about the paper it is stapled to. Check the FILE.",
    reason=(
        "Anyone can print a paper like this one, or stick this code on another. "
        "Only the answer about the file counts."
    ),
    institution="Institution",
    kind="Kind of document",
    existed_by="Existed by",
    claimed="Issuer's date",
    valid_until="Valid until",
    replaces="Replaces entry",
    witnesses="Witnesses",
    digests="Digests of the file",
    entry="Ledger entry",
    hidden="hidden (blinded attestation)",
    alone="none has to countersign",
    claim="not countersigned: see the issuer's date",
    how="How to check",
    steps=(
        "Ask for the file as the institution handed it out: no print, no scan, no new copy.",
        "On the page of your own institution's chopmark gateway, drop the file and scan this code.",
        "Go by the answer on your screen alone, never by what is printed here.",
    ),
    private=(
        "Who has this slip can test guesses about the content of the document. "
        "Give it to nobody who must not know the document."
    ),
    foot=(
        "The code carries a proof. This page is not a verification, and says nothing of revocation."
    ),
)

TRADITIONAL: Final = Words(
    title="驗證單",
    notice="本單不能證明所附紙本的內容。請驗證電子檔案。",
    reason="任何人都可以印製這樣的紙張，或把此二維碼貼在別的紙上。一切以檔案的驗證結果為準。",
    institution="簽發機構",
    kind="文件種類",
    existed_by="不晚於此時已存在",
    claimed="簽發機構所稱日期",
    valid_until="有效期至",
    replaces="取代條目",
    witnesses="副署機構",
    digests="檔案指紋",
    entry="帳本條目",
    hidden="隱藏存證",
    alone="無須副署",
    claim="未經副署：見簽發機構所稱日期",
    how="如何驗證",
    steps=(
        "索取機構當初發出的電子檔案本身：不要列印本、掃描件或重新儲存的副本。",
        "在貴機構自己的 chopmark 閘道網頁放入檔案，並掃描此二維碼。",
        "只以螢幕上的答覆為準，切勿以紙上所印內容為準。",
    ),
    private="持有本單者可以試探猜測文件內容，請勿交給不應知悉該文件的人。",
    foot="此二維碼載有一份證明。本頁並非驗證結果，亦不反映是否已被撤銷。",
)

SIMPLIFIED: Final = Words(
    title="验证单",
    notice="本单不能证明所附纸质文件的内容。请验证电子文件。",
    reason="任何人都可以印制这样的纸张，或把此二维码贴在别的纸上。一切以文件的验证结果为准。",
    institution="签发机构",
    kind="文件种类",
    existed_by="不晚于此时已存在",
    claimed="签发机构所称日期",
    valid_until="有效期至",
    replaces="取代条目",
    witnesses="副署机构",
    digests="文件指纹",
    entry="账本条目",
    hidden="隐藏存证",
    alone="无须副署",
    claim="未经副署：见签发机构所称日期",
    how="如何验证",
    steps=(
        "索取机构当初发出的电子文件本身：不要打印件、扫描件或重新保存的副本。",
        "在贵机构自己的 chopmark 网关网页放入文件，并扫描此二维码。",
        "只以屏幕上的答复为准，切勿以纸上所印内容为准。",
    ),
    private="持有本单者可以试探猜测文件内容，请勿交给不应知悉该文件的人。",
    foot="此二维码载有一份证明。本页并非验证结果，也不反映是否已被撤销。",
)

WORDS: Final[dict[Language, Words]] = {"zh-Hant": TRADITIONAL, "zh-Hans": SIMPLIFIED}

KINDS: Final[Mapping[Literal["en"] | Language, Mapping[str, str]]] = {
    "en": {
        "document": "Document",
        "bank-statement": "Bank statement",
        "deposit-certificate": "Deposit certificate",
        "asset-proof": "Proof of assets",
        "credit-report": "Credit report",
        "kyc-report": "KYC report",
        "diploma": "Diploma",
    },
    "zh-Hant": {
        "document": "文件",
        "bank-statement": "銀行月結單",
        "deposit-certificate": "存款證明",
        "asset-proof": "資產證明",
        "credit-report": "信貸報告",
        "kyc-report": "客戶盡職審查報告",
        "diploma": "學歷證書",
    },
    "zh-Hans": {
        "document": "文件",
        "bank-statement": "银行对账单",
        "deposit-certificate": "存款证明",
        "asset-proof": "资产证明",
        "credit-report": "信用报告",
        "kyc-report": "客户尽职调查报告",
        "diploma": "学历证书",
    },
}
"""What kinds of documents are called, by their names in rosters: as on the page."""

LOCAL: Final[Mapping[Literal["en"] | Language, str]] = {
    "en": "local time",
    "zh-Hant": "當地時間",
    "zh-Hans": "当地时间",
}
"""Said of a time by the clocks of where the issuer is, where those are known."""
