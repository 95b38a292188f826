"""Of the wizard from a bare box to a working gateway."""

EN = {
    "help.commission": "from a bare box to a working gateway, step by step",
    "help.show.commissioning": "which of its steps are done",
    "commission.begin": (
        "{steps} steps. What is done is not asked again. Ctrl-C leaves; `commission` goes on."
    ),
    "commission.end": "The gateway works. `show status` has it all on one screen; `exit` leaves.",
    "commission.left": "Step `{name}` is left open; `commission` goes on here.",
    "commission.done": "done ({told})",
    "commission.open": "open",
    "commission.unseen": "not seen: {problem}",
    "commission.again": "{problem}; once more",
    "commission.seen": "seen and confirmed",
    "commission.name.name": "name",
    "commission.name.about": "who this gateway is; names of a log are for ever",
    "commission.name.help": (
        "Everything stands on head office's paper. If something is not there: call, do not guess."
    ),
    "commission.name.member": "Member id, such as hk-1",
    "commission.name.origin": "Origin, such as bank-hk.example/hk-1",
    "commission.name.institution": "Institution",
    "commission.name.jurisdiction": "Place (ISO 3166), such as HK or CN-GD",
    "commission.name.broker": "Broker, HOST:PORT",
    "commission.name.shown": (
        "  member id     {member}\n"
        "  origin        {origin}\n"
        "  institution   {institution}\n"
        "  place         {jurisdiction}\n"
        "  broker        {broker}"
    ),
    "commission.name.right": "Letter by letter as on the paper? Type {word}",
    "commission.network.name": "network",
    "commission.network.about": "the address and routes of the box, as they are",
    "commission.network.help": (
        "No cable, or a wrong address? Mend it now: brokers are reached by it."
    ),
    "commission.network.right": "Enter if it is right; `change` to have another",
    "commission.network.keep": "It is in force. Enter keeps it; `no` takes it back",
    "commission.clock.name": "clock",
    "commission.clock.about": "the time that attestations will say",
    "commission.clock.help": (
        "If it is off: connect the time server, or have root set it. Others discard times ahead."
    ),
    "commission.clock.shown": "The box says {now} UTC; {reason}.",
    "commission.clock.compare": (
        "Enter if it is right; else type the time by your telephone\n"
        "in UTC, such as 2026-11-30 18:05"
    ),
    "commission.clock.off": "The box is ahead of that by {seconds} s.",
    "commission.token.name": "HSM token",
    "commission.token.about": "the token that keeps the keys, and its PIN",
    "commission.token.help": (
        "The PIN is tried once. If the token refuses it: ask its keeper, never guess."
    ),
    "commission.token.modules": "Modules on this box: {modules}",
    "commission.token.module": "Module",
    "commission.token.label": "Label of the token",
    "commission.token.shown": (
        "Found: {maker}, {model}, serial {serial}. Compare the plate on the device."
    ),
    "commission.token.low": "The token has counted wrong PINs already: have its keeper type.",
    "commission.token.refused": "Of the PIN in place: {reason}. It is not tried again.",
    "commission.token.pin": "PIN of the token",
    "commission.token.pin-again": "The PIN once more",
    "commission.token.differ": "They differ; the token {label} was not asked. Both again.",
    "commission.token.taken": "The token has taken the PIN; it is in place.",
    "commission.keys.name": "keys",
    "commission.keys.about": "both keys made in the token, and an empty ledger",
    "commission.keys.help": (
        "Both or neither are made. `key-exists`: the token was used before; call head office."
    ),
    "commission.keys.go-ahead": "Make the keys? yes, or no to name it anew",
    "commission.keys.making": "Making keys and ledger ...",
    "commission.keys.p256": "This token has no Ed25519: the cosigner key will be P-256.",
    "commission.keys.log": "log key\n  {named}\n  {words}",
    "commission.keys.cosigner": "cosigner key\n  {named}\n  {words}",
    "commission.keys.written-down": "Write the words of both down; then Enter",
    "commission.certificate.name": "certificate",
    "commission.certificate.about": (
        "a key for brokers on other machines, and the certificate for it"
    ),
    "commission.certificate.help": (
        "The key stays here. A certificate for another key or name is refused: send the "
        "newest request."
    ),
    "commission.certificate.none": "not needed: the broker is on this box",
    "commission.certificate.there": "in place",
    "commission.certificate.again": "Have you the certificate? `no` shows the request\nyes or no",
    "commission.certificate.request": "Send the request to the broker's CA, for CN={name}.",
    "commission.certificate.as-file": "As a file, too? yes or no",
    "commission.certificate.wait": (
        "Once CA and certificate have come back: Enter.\nCtrl-C to go on another day"
    ),
    "commission.certificate.ca": "First the certificate of the broker's CA.",
    "commission.certificate.own": "Now the certificate of this gateway.",
    "commission.broker.name": "broker",
    "commission.broker.about": "the broker is taken by TLS",
    "commission.broker.ports": (
        "{broker}\nA gateway reads there, and publishes at another port of the same broker if that "
        "ties client ids to certificates."
    ),
    "commission.broker.publish": "Port to publish at, as on the paper",
    "commission.broker.help": (
        "`test broker` tells what is wrong on the way, once the gateway runs."
    ),
    "commission.identity.name": "identity",
    "commission.identity.about": "what head office must know of this gateway",
    "commission.identity.help": (
        "Nothing of it is secret. If the words differ at the other end, nothing is to be used."
    ),
    "commission.identity.known": "head office has it: the members are in",
    "commission.identity.out": "head office has it",
    "commission.identity.file": "{name} is what head office needs: it goes out as a file.",
    "commission.identity.given": "Head office has it, with these words? Type {word}",
    "commission.daemon.name": "daemon",
    "commission.daemon.about": "the gateway is started",
    "commission.daemon.help": "It takes a minute at most. `show log` says why it does not start.",
    "commission.daemon.runs": "version {version}, HSM ready",
    "commission.members.name": "members",
    "commission.members.about": "whom this gateway is to believe",
    "commission.members.help": (
        "The words come by telephone, never with the file. Other words: the file is not the one."
    ),
    "commission.members.way": "What has head office sent? roster, or peers\n([[peer]] blocks)",
    "commission.members.words": "Its fingerprint, as head office reads it aloud\n(eight words)",
    "commission.members.sum": "Its SHA-256, as head office reads it aloud",
    "commission.members.restart": "Pinned; the gateway starts again ...",
    "commission.members.roster": "roster {version}, {words}",
    "commission.peers.name": "first peers",
    "commission.peers.about": "another gateway is heard of",
    "commission.peers.help": (
        "If nobody is: `test broker`; and ask head office whether the others know this gateway."
    ),
    "commission.peers.waiting": "Waiting for a peer, {seconds} s at most ...",
    "commission.attestation.name": "first attestation",
    "commission.attestation.about": (
        "a text of one line is attested and witnessed, and expires tomorrow"
    ),
    "commission.attestation.help": (
        "If the quorum does not come: `show peers`. It is not made twice."
    ),
    "commission.attestation.making": "Attesting: {text}",
    "commission.attestation.waiting": "Waiting for the quorum ...",
    "commission.attestation.there": "entry {index} is witnessed",
}
ZH_HANS = {
    "help.commission": "从空白设备到可用网关，逐步完成",
    "help.show.commissioning": "各步骤的完成情况",
    "commission.begin": "共 {steps} 步。已完成的不再询问。Ctrl-C 离开；`commission` 继续。",
    "commission.end": "网关已可用。`show status` 在一屏内显示全部状态；`exit` 退出。",
    "commission.left": "步骤「{name}」未完成；`commission` 从此处继续。",
    "commission.done": "完成（{told}）",
    "commission.open": "未完成",
    "commission.unseen": "无法查看：{problem}",
    "commission.again": "{problem}；请重新输入",
    "commission.seen": "已查看并确认",
    "commission.name.name": "名称",
    "commission.name.about": "本网关的身份；账本名称不可更改",
    "commission.name.help": "全部内容见总部的书面资料。缺少任何一项：请致电询问，切勿猜测。",
    "commission.name.member": "成员标识，如 hk-1",
    "commission.name.origin": "账本名称（origin），如 bank-hk.example/hk-1",
    "commission.name.institution": "机构",
    "commission.name.jurisdiction": "所在地（ISO 3166），如 HK 或 CN-GD",
    "commission.name.broker": "消息代理，HOST:PORT",
    "commission.name.shown": (
        "  成员标识  {member}\n"
        "  账本名称  {origin}\n"
        "  机构      {institution}\n"
        "  所在地    {jurisdiction}\n"
        "  消息代理  {broker}"
    ),
    "commission.name.right": "与书面资料逐字相同？请输入 {word}",
    "commission.network.name": "网络",
    "commission.network.about": "本机的地址与路由",
    "commission.network.help": "未接网线或地址有误？请先修正：连接消息代理需要网络。",
    "commission.network.right": "正确请按 Enter；需要更改请输入 `change`",
    "commission.network.keep": "已生效。按 Enter 保留；输入 `no` 撤回",
    "commission.clock.name": "时钟",
    "commission.clock.about": "存证记录所载的时间",
    "commission.clock.help": (
        "若有偏差：请连接时间服务器，或由 root 设置。超前的时间会被其他成员丢弃。"
    ),
    "commission.clock.shown": "本机时间 {now} UTC；{reason}。",
    "commission.clock.compare": "正确请按 Enter；否则输入电话上的\nUTC 时间，如 2026-11-30 18:05",
    "commission.clock.off": "本机比该时间快 {seconds} 秒。",
    "commission.token.name": "HSM 令牌",
    "commission.token.about": "保存密钥的令牌及其 PIN",
    "commission.token.help": "PIN 只尝试一次。若被拒绝：请询问保管人，切勿猜测。",
    "commission.token.modules": "本机的模块：{modules}",
    "commission.token.module": "模块",
    "commission.token.label": "令牌标签",
    "commission.token.shown": "已找到：{maker}，{model}，序列号 {serial}。请与设备铭牌核对。",
    "commission.token.low": "该令牌已记录错误的 PIN：请由保管人输入。",
    "commission.token.refused": "现有 PIN 不会再次尝试：{reason}。",
    "commission.token.pin": "令牌的 PIN",
    "commission.token.pin-again": "再次输入 PIN",
    "commission.token.differ": "两次不同；未向令牌 {label} 尝试。请重新输入两次。",
    "commission.token.taken": "令牌已接受 PIN，PIN 已就位。",
    "commission.keys.name": "密钥",
    "commission.keys.about": "在令牌中生成两把密钥，并建立空账本",
    "commission.keys.help": (
        "两把密钥要么都生成，要么都不生成。若提示 `key-exists`：令牌曾被使用，请致电总部。"
    ),
    "commission.keys.go-ahead": "生成密钥？yes；或 no 重新命名",
    "commission.keys.making": "正在生成密钥与账本……",
    "commission.keys.p256": "该令牌没有 Ed25519：副署密钥将使用 P-256。",
    "commission.keys.log": "账本密钥\n  {named}\n  {words}",
    "commission.keys.cosigner": "副署密钥\n  {named}\n  {words}",
    "commission.keys.written-down": "请记下两把密钥的词语，然后按 Enter",
    "commission.certificate.name": "证书",
    "commission.certificate.about": "用于其他主机上消息代理的密钥及其证书",
    "commission.certificate.help": (
        "密钥不离开本机。密钥或名称不符的证书会被拒绝：请发送最新的请求。"
    ),
    "commission.certificate.none": "不需要：消息代理在本机",
    "commission.certificate.there": "已就位",
    "commission.certificate.again": "证书已取得？输入 `no` 再次显示请求",
    "commission.certificate.request": "请将请求送交消息代理的 CA，CN={name}。",
    "commission.certificate.as-file": "另以文件发送？yes 或 no",
    "commission.certificate.wait": "收到 CA 与证书后按 Enter；改日继续请按 Ctrl-C",
    "commission.certificate.ca": "先传 CA 的证书。",
    "commission.certificate.own": "现在传本网关的证书。",
    "commission.broker.name": "消息代理",
    "commission.broker.about": "以 TLS 连接消息代理",
    "commission.broker.ports": (
        "{broker}\n网关由此端口接收；若代理将客户端标识绑定到证书，则经同一代理的另一端口发布。"
    ),
    "commission.broker.publish": "发布端口（见总部单据）",
    "commission.broker.help": "网关运行后，`test broker` 可指出途中的问题。",
    "commission.identity.name": "身份",
    "commission.identity.about": "总部须知的本网关信息",
    "commission.identity.help": "内容均非机密。若对方所见词语不同，一律不可使用。",
    "commission.identity.known": "总部已有：成员已就位",
    "commission.identity.out": "总部已取得",
    "commission.identity.file": "{name} 是总部所需的内容，以文件发送。",
    "commission.identity.given": "总部已取得，且词语相同？请输入 {word}",
    "commission.daemon.name": "守护进程",
    "commission.daemon.about": "启动网关",
    "commission.daemon.help": "最多一分钟。若未启动，`show log` 说明原因。",
    "commission.daemon.runs": "版本 {version}，HSM 就绪",
    "commission.members.name": "成员",
    "commission.members.about": "本网关所采信的成员",
    "commission.members.help": "词语由电话告知，不随文件发送。词语不符：文件有误。",
    "commission.members.way": "总部发来的是？roster（名册），或 peers（[[peer]] 段）",
    "commission.members.words": "指纹，由总部口头读出（八个词）",
    "commission.members.sum": "其 SHA-256，由总部口头读出",
    "commission.members.restart": "已固定；网关重新启动……",
    "commission.members.roster": "名册 {version}，{words}",
    "commission.peers.name": "首批成员",
    "commission.peers.about": "收到其他网关的消息",
    "commission.peers.help": "若无回应：`test broker`；并询问总部，其他成员是否已获知本网关。",
    "commission.peers.waiting": "正在等待成员，最多 {seconds} 秒……",
    "commission.attestation.name": "首次存证",
    "commission.attestation.about": "存证一行文字并取得副署，明日失效",
    "commission.attestation.help": "若未达法定数：`show peers`。不会重复存证。",
    "commission.attestation.making": "正在存证：{text}",
    "commission.attestation.waiting": "正在等待法定数……",
    "commission.attestation.there": "条目 {index} 已获副署",
}
ZH_HANT = {
    "help.commission": "從空白設備到可用閘道，逐步完成",
    "help.show.commissioning": "各步驟的完成情況",
    "commission.begin": "共 {steps} 步。已完成的不再詢問。Ctrl-C 離開；`commission` 繼續。",
    "commission.end": "閘道已可用。`show status` 在一個畫面內顯示全部狀態；`exit` 退出。",
    "commission.left": "步驟「{name}」未完成；`commission` 從此處繼續。",
    "commission.done": "完成（{told}）",
    "commission.open": "未完成",
    "commission.unseen": "無法查看：{problem}",
    "commission.again": "{problem}；請重新輸入",
    "commission.seen": "已查看並確認",
    "commission.name.name": "名稱",
    "commission.name.about": "本閘道的身分；帳本名稱不可更改",
    "commission.name.help": "全部內容見總部的書面資料。缺少任何一項：請致電詢問，切勿猜測。",
    "commission.name.member": "成員識別碼，如 hk-1",
    "commission.name.origin": "帳本名稱（origin），如 bank-hk.example/hk-1",
    "commission.name.institution": "機構",
    "commission.name.jurisdiction": "所在地（ISO 3166），如 HK 或 CN-GD",
    "commission.name.broker": "訊息代理，HOST:PORT",
    "commission.name.shown": (
        "  成員識別碼  {member}\n"
        "  帳本名稱    {origin}\n"
        "  機構        {institution}\n"
        "  所在地      {jurisdiction}\n"
        "  訊息代理    {broker}"
    ),
    "commission.name.right": "與書面資料逐字相同？請輸入 {word}",
    "commission.network.name": "網絡",
    "commission.network.about": "本機的位址與路由",
    "commission.network.help": "未接網絡線或位址有誤？請先修正：連接訊息代理需要網絡。",
    "commission.network.right": "正確請按 Enter；需要變更請輸入 `change`",
    "commission.network.keep": "已生效。按 Enter 保留；輸入 `no` 撤回",
    "commission.clock.name": "時鐘",
    "commission.clock.about": "存證記錄所載的時間",
    "commission.clock.help": (
        "若有偏差：請連接時間伺服器，或由 root 設定。超前的時間會被其他成員捨棄。"
    ),
    "commission.clock.shown": "本機時間 {now} UTC；{reason}。",
    "commission.clock.compare": "正確請按 Enter；否則輸入電話上的\nUTC 時間，如 2026-11-30 18:05",
    "commission.clock.off": "本機比該時間快 {seconds} 秒。",
    "commission.token.name": "HSM 權杖",
    "commission.token.about": "保存密鑰的權杖及其 PIN",
    "commission.token.help": "PIN 只嘗試一次。若被拒絕：請詢問保管人，切勿猜測。",
    "commission.token.modules": "本機的模組：{modules}",
    "commission.token.module": "模組",
    "commission.token.label": "權杖標籤",
    "commission.token.shown": "已找到：{maker}，{model}，序號 {serial}。請與設備銘牌核對。",
    "commission.token.low": "該權杖已記錄錯誤的 PIN：請由保管人輸入。",
    "commission.token.refused": "現有 PIN 不會再次嘗試：{reason}。",
    "commission.token.pin": "權杖的 PIN",
    "commission.token.pin-again": "再次輸入 PIN",
    "commission.token.differ": "兩次不同；未向權杖 {label} 嘗試。請重新輸入兩次。",
    "commission.token.taken": "權杖已接受 PIN，PIN 已就位。",
    "commission.keys.name": "密鑰",
    "commission.keys.about": "在權杖中產生兩把密鑰，並建立空帳本",
    "commission.keys.help": (
        "兩把密鑰不是都產生，就是都不產生。若提示 `key-exists`：權杖曾被使用，請致電總部。"
    ),
    "commission.keys.go-ahead": "產生密鑰？yes；或 no 重新命名",
    "commission.keys.making": "正在產生密鑰與帳本……",
    "commission.keys.p256": "該權杖沒有 Ed25519：副署密鑰將使用 P-256。",
    "commission.keys.log": "帳本密鑰\n  {named}\n  {words}",
    "commission.keys.cosigner": "副署密鑰\n  {named}\n  {words}",
    "commission.keys.written-down": "請記下兩把密鑰的詞語，然後按 Enter",
    "commission.certificate.name": "證書",
    "commission.certificate.about": "用於其他主機上訊息代理的密鑰及其證書",
    "commission.certificate.help": (
        "密鑰不離開本機。密鑰或名稱不符的證書會被拒絕：請傳送最新的請求。"
    ),
    "commission.certificate.none": "不需要：訊息代理在本機",
    "commission.certificate.there": "已就位",
    "commission.certificate.again": "證書已取得？輸入 `no` 再次顯示請求",
    "commission.certificate.request": "請將請求送交訊息代理的 CA，CN={name}。",
    "commission.certificate.as-file": "另以檔案傳送？yes 或 no",
    "commission.certificate.wait": "收到 CA 與證書後按 Enter；改日繼續請按 Ctrl-C",
    "commission.certificate.ca": "先傳 CA 的證書。",
    "commission.certificate.own": "現在傳本閘道的證書。",
    "commission.broker.name": "訊息代理",
    "commission.broker.about": "以 TLS 連接訊息代理",
    "commission.broker.ports": (
        "{broker}\n閘道由此端口接收；若代理將用戶端識別碼綁定到證書，則經同一代理的另一端口發布。"
    ),
    "commission.broker.publish": "發布端口（見總部單據）",
    "commission.broker.help": "閘道執行後，`test broker` 可指出途中的問題。",
    "commission.identity.name": "身分",
    "commission.identity.about": "總部須知的本閘道資訊",
    "commission.identity.help": "內容均非機密。若對方所見詞語不同，一律不可使用。",
    "commission.identity.known": "總部已有：成員已就位",
    "commission.identity.out": "總部已取得",
    "commission.identity.file": "{name} 是總部所需的內容，以檔案傳送。",
    "commission.identity.given": "總部已取得，且詞語相同？請輸入 {word}",
    "commission.daemon.name": "守護程式",
    "commission.daemon.about": "啟動閘道",
    "commission.daemon.help": "最多一分鐘。若未啟動，`show log` 說明原因。",
    "commission.daemon.runs": "版本 {version}，HSM 就緒",
    "commission.members.name": "成員",
    "commission.members.about": "本閘道所採信的成員",
    "commission.members.help": "詞語由電話告知，不隨檔案傳送。詞語不符：檔案有誤。",
    "commission.members.way": "總部傳來的是？roster（名冊），或 peers（[[peer]] 段）",
    "commission.members.words": "指紋，由總部口頭讀出（八個詞）",
    "commission.members.sum": "其 SHA-256，由總部口頭讀出",
    "commission.members.restart": "已固定；閘道重新啟動……",
    "commission.members.roster": "名冊 {version}，{words}",
    "commission.peers.name": "首批成員",
    "commission.peers.about": "收到其他閘道的訊息",
    "commission.peers.help": "若無回應：`test broker`；並詢問總部，其他成員是否已獲知本閘道。",
    "commission.peers.waiting": "正在等待成員，最多 {seconds} 秒……",
    "commission.attestation.name": "首次存證",
    "commission.attestation.about": "存證一行文字並取得副署，明日失效",
    "commission.attestation.help": "若未達法定數：`show peers`。不會重複存證。",
    "commission.attestation.making": "正在存證：{text}",
    "commission.attestation.waiting": "正在等待法定數……",
    "commission.attestation.there": "條目 {index} 已獲副署",
}
