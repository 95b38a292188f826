"""Of what changes the box: configure, restart, recover, factory reset."""

EN = {
    "help.configure.ports": "8883, or 8883/8884: the second one is to publish at",
    "help.configure.network-dhcp": "have the network give the box its address",
    "help.configure.network-static": "give the box an address",
    "help.configure.network-vlan": "the VLAN that it is in",
    "help.configure.network-dns": "name servers; all of them, in their order",
    "help.configure.network-ntp": "time servers; all of them",
    "help.configure.network-proxy": "the proxy by which brokers are reached",
    "help.configure.network-confirm": "keep what was applied to the network",
    "help.configure.network-rollback": "take back what was applied to the network",
    "help.configure.address": "with the size of its network, such as 192.0.2.10/24",
    "help.configure.gateway": "the way out, such as 192.0.2.1",
    "help.configure.vlan": "1 to 4094, or none",
    "help.configure.dns": "an address, such as 192.0.2.53",
    "help.configure.ntp": "name or address of a time server",
    "help.configure.proxy": "name or address of the proxy",
    "help.configure.proxy-port": "1 to 65535, such as 3128",
    "group.configure-network": "the box's own network: address, VLAN, DNS, NTP, proxy",
    "group.configure-broker": "brokers, in the candidate",
    "configure.ask.method": "dhcp or static",
    "configure.network-applied": (
        "In force for {seconds} s. Is all well? Then `configure network confirm`."
    ),
    "configure.network-taken-back": "Taken back: the network is as it was.",
    "help.show.differences": "what the candidate changes, and whether a change waits",
    "help.configure.institution": "the institution's name, in the candidate",
    "help.configure.jurisdiction": "its place, such as HK or CN-GD, in the candidate",
    "help.configure.broker-add": "one more broker, in the candidate",
    "help.configure.broker-remove": "one broker less, in the candidate",
    "help.configure.commit": "apply the candidate; it is taken back unless confirmed",
    "help.configure.confirm": "keep what was applied",
    "help.configure.rollback": "take back what was applied",
    "help.configure.discard": "forget the candidate",
    "help.configure.name": "the name, in quotes if it has spaces",
    "help.configure.place": "ISO 3166 code",
    "help.configure.host": "name or address of the broker",
    "help.configure.port": "1 to 65535, such as 8883",
    "help.configure.security": "tls with certificates, or plain on this box",
    "help.configure.tls-name": "name in its certificate, if it is another",
    "help.configure.seconds": "30 to 3600 until it is taken back; 300 if not given",
    "configure.ask.address": "address, such as 192.0.2.10/24: ",
    "configure.ask.gateway": "default gateway: ",
    "configure.next": "Nothing is changed yet: `configure commit` applies it.",
    "configure.none": "No candidate: nothing is to be changed.",
    "configure.pending": "In force, and taken back in {seconds} s: `configure confirm` keeps it.",
    "configure.applying": "Applying; the gateway starts again ...",
    "configure.applied": "In force for {seconds} s. Is all well? Then `configure confirm`.",
    "configure.confirmed": "Confirmed: the change stays.",
    "configure.taken-back": "Taken back. The candidate is still there: `show differences`.",
    "configure.discarded": "The candidate is gone; nothing was changed.",
    "help.unit": "gateway (the daemon), hsm (its module, where kept apart), broker",
    "help.restart": "stop and start a service",
    "help.start": "start a service",
    "help.stop": "stop a service in order; before a disk is replaced, the gateway",
    "help.reboot": "start the box again",
    "help.switch": "start from the other firmware slot",
    "help.slot": "a or b",
    "unit.restart.begun": "Starting {unit} again ...",
    "unit.restart.done": "{unit} was started again.",
    "unit.start.begun": "Starting {unit} ...",
    "unit.start.done": "{unit} was started.",
    "unit.stop.begun": "Stopping {unit} ...",
    "unit.stop.done": "{unit} is stopped. `start {unit}` starts it.",
    "reboot.ask": "The box starts again. Type {word}: ",
    "reboot.done": "It goes down now. Stay on the line: the banner comes back.",
    "slot.done": "The next start is from slot {slot}.",
    "help.show.firmware": "both slots: what is in them, which runs, which is due next",
    "help.firmware.install": "write an update (USB stick, or fetched) into the other slot",
    "firmware.good": "good",
    "firmware.not-good": "not good",
    "firmware.running": "runs",
    "firmware.next": "next",
    "firmware.about": (
        "The update on the USB stick, or without a stick the one that was fetched, goes into the "
        "slot that does not run, once both signatures are right. What runs stays as it is; ledger "
        "and configuration stay."
    ),
    "firmware.ask": "Write it now? Type {word}: ",
    "firmware.begun": "Checking and writing. It takes some minutes; Ctrl-C leaves it going on.",
    "firmware.done": (
        "Release {version} is in slot {slot}, and starts next: `reboot`. If it does not work, the "
        "box comes back to this one by itself."
    ),
    "help.recover": "take the ledger back from the peers, after its disk was lost",
    "help.show.recovery": "how far a recovery has come",
    "recover.about": (
        "The gateway is stopped, and its ledger is taken back from its peers. "
        "Only after the disk was lost, or put back to an older copy. Nothing is overwritten: "
        "the old ledger is kept beside it."
    ),
    "recover.ask": "Type {word} to begin: ",
    "recover.begun": "Asking the peers. Ctrl-C leaves it going on: `show recovery` looks again.",
    "recover.running": "... {seconds} s",
    "recover.state.none": "No recovery was begun since the box started.",
    "recover.state.running": "It is going on.",
    "recover.good": "The log goes on. Now: `start gateway`.",
    "recover.field.origin": "log",
    "recover.field.entries": "entries",
    "recover.field.answered": "have answered",
    "recover.field.silent": "have not answered",
    "recover.field.report": "report for head office",
    "help.factory.reset": "take everything off the box; two technicians",
    "help.factory.export": "print entries that are not witnessed, before a reset",
    "help.factory.erase": "after a reset: erase the whole disk; two technicians",
    "factory.erasing": (
        "What opens the disk is destroyed, and with it technicians, the box's key and all records."
        " The box starts again as a new one: head office must stage it."
    ),
    "factory.erased": "Erased. The box starts again as a new one.",
    "factory.lost": (
        "Lost for good: the log {origin} with {entries} entries, the audit log, all replicas, "
        "the configuration, the PIN, and the keys in the HSM. This origin is never used again: "
        "proofs that customers have stay good, and head office retires it in the roster. "
        "Not witnessed: {waiting}."
    ),
    "factory.unseen": (
        "So nobody can look at: which attestations are not witnessed, which were not exported; "
        "whether the audit log has ended; which keys there are. What is lost is lost unseen. "
        "Mending it, or `recover`, keeps the log. Ask head office first."
    ),
    "factory.blind": "To go on without having looked, type {word}: ",
    "factory.blind-begun": "Destroying what keys are known, then the disk. This takes minutes ...",
    "factory.ask": "There is no way back. Type {word}: ",
    "factory.begun": "Ending the audit log, then keys and disk. This takes minutes ...",
    "factory.done": "The box is empty. `commission` sets another gateway up.",
    "factory.without.audit": "To end without the audit log in the ledger, type {word}: ",
    "factory.without.keys": "To leave the keys in the HSM, type {word}: ",
    "factory.nothing": "Everything is witnessed: there is nothing to export.",
    "factory.export": "{waiting} entries follow. Have your terminal keep what it shows.",
}
ZH_HANS = {
    "help.configure.ports": "8883，或 8883/8884：第二个端口用于发布",
    "help.configure.network-dhcp": "由网络分配本机地址",
    "help.configure.network-static": "指定本机地址",
    "help.configure.network-vlan": "本机所在的 VLAN",
    "help.configure.network-dns": "域名服务器；按顺序全部列出",
    "help.configure.network-ntp": "时间服务器；全部列出",
    "help.configure.network-proxy": "连接消息代理所经的代理服务器",
    "help.configure.network-confirm": "保留已应用的网络更改",
    "help.configure.network-rollback": "撤回已应用的网络更改",
    "help.configure.address": "连同网络长度，如 192.0.2.10/24",
    "help.configure.gateway": "出口路由，如 192.0.2.1",
    "help.configure.vlan": "1 至 4094，或 none（无）",
    "help.configure.dns": "地址，如 192.0.2.53",
    "help.configure.ntp": "时间服务器的名称或地址",
    "help.configure.proxy": "代理服务器的名称或地址",
    "help.configure.proxy-port": "1 至 65535，如 3128",
    "group.configure-network": "本机网络：地址、VLAN、DNS、NTP、代理服务器",
    "group.configure-broker": "消息代理（写入候选配置）",
    "configure.ask.method": "dhcp 或 static",
    "configure.network-applied": (
        "网络更改生效 {seconds} 秒。若连接正常，请输入 `configure network confirm`。"
    ),
    "configure.network-taken-back": "已撤回：网络恢复原状。",
    "help.show.differences": "候选配置的更改，以及是否有更改待确认",
    "help.configure.institution": "机构名称（写入候选配置）",
    "help.configure.jurisdiction": "所在地，如 HK 或 CN-GD（写入候选配置）",
    "help.configure.broker-add": "增加一个消息代理（写入候选配置）",
    "help.configure.broker-remove": "删除一个消息代理（写入候选配置）",
    "help.configure.commit": "应用候选配置；不确认则自动撤回",
    "help.configure.confirm": "保留已应用的更改",
    "help.configure.rollback": "撤回已应用的更改",
    "help.configure.discard": "丢弃候选配置",
    "help.configure.name": "名称；含空格时加引号",
    "help.configure.place": "ISO 3166 代码",
    "help.configure.host": "消息代理的名称或地址",
    "help.configure.port": "1 至 65535，如 8883",
    "help.configure.security": "tls（使用证书），或 plain（仅限本机）",
    "help.configure.tls-name": "其证书中的名称（若不同）",
    "help.configure.seconds": "自动撤回前的秒数，30 至 3600；默认 300",
    "configure.ask.address": "地址，如 192.0.2.10/24：",
    "configure.ask.gateway": "默认网关：",
    "configure.next": "尚未更改：`configure commit` 使其生效。",
    "configure.none": "没有候选配置，无待更改项。",
    "configure.pending": "更改已生效，{seconds} 秒后撤回：`configure confirm` 可保留。",
    "configure.applying": "正在应用，网关重新启动……",
    "configure.applied": "生效 {seconds} 秒。确认一切正常后，请输入 `configure confirm`。",
    "configure.confirmed": "已确认，更改保留。",
    "configure.taken-back": "已撤回。候选配置仍在：`show differences`。",
    "configure.discarded": "候选配置已丢弃，未作更改。",
    "help.unit": "gateway（网关服务）、hsm（独立运行的模块）、broker（消息代理）",
    "help.restart": "停止并重新启动服务",
    "help.start": "启动服务",
    "help.stop": "正常停止服务；更换磁盘前先停止 gateway",
    "help.reboot": "重新启动本机",
    "help.switch": "从另一固件分区启动",
    "help.slot": "a 或 b",
    "unit.restart.begun": "正在重新启动 {unit}……",
    "unit.restart.done": "{unit} 已重新启动。",
    "unit.start.begun": "正在启动 {unit}……",
    "unit.start.done": "{unit} 已启动。",
    "unit.stop.begun": "正在停止 {unit}……",
    "unit.stop.done": "{unit} 已停止。`start {unit}` 可启动。",
    "reboot.ask": "本机将重新启动。请输入 {word}：",
    "reboot.done": "即将重新启动。请保持连接，稍后会再次显示欢迎信息。",
    "slot.done": "下次从分区 {slot} 启动。",
    "help.show.firmware": "两个固件分区：内容、当前运行、下次启动",
    "help.firmware.install": "把 USB 存储设备上的（或已下载的）更新写入未运行的分区",
    "firmware.good": "正常",
    "firmware.not-good": "未确认正常",
    "firmware.running": "正在运行",
    "firmware.next": "下次启动",
    "firmware.about": (
        "USB 存储设备上的更新（没有该设备时为已下载的更新），两个签署都正确后写入未运行的分区。\n"
        "正在运行的分区、账本与配置保持不变。"
    ),
    "firmware.ask": "现在写入？请输入 {word}：",
    "firmware.begun": "正在检查并写入，需数分钟；按 Ctrl-C 后仍继续进行。",
    "firmware.done": (
        "版本 {version} 已在分区 {slot}，下次启动使用：`reboot`。"
        "如不能工作，设备会自动回到当前版本。"
    ),
    "help.recover": "磁盘丢失后，从其他成员取回账本",
    "help.show.recovery": "恢复的进度",
    "recover.about": (
        "网关将停止，并从其他成员取回账本。\n"
        "仅在磁盘丢失或被还原为旧副本之后使用。不会覆盖任何内容：旧账本保留在旁。"
    ),
    "recover.ask": "输入 {word} 开始：",
    "recover.begun": "正在询问其他成员。按 Ctrl-C 后仍继续进行：`show recovery` 可再查看。",
    "recover.running": "…… {seconds} 秒",
    "recover.state.none": "本机启动后未进行过恢复。",
    "recover.state.running": "正在进行。",
    "recover.good": "账本可以继续。下一步：`start gateway`。",
    "recover.field.origin": "账本",
    "recover.field.entries": "条目",
    "recover.field.answered": "已应答",
    "recover.field.silent": "未应答",
    "recover.field.report": "交总部的报告",
    "help.factory.reset": "清除本机全部内容；需两名技术员",
    "help.factory.export": "重置前，输出未获副署的条目",
    "help.factory.erase": "重置后，清除整个磁盘；需两名技术员",
    "factory.erasing": (
        "将销毁磁盘的密钥，技术员、本机密钥和全部记录随之清除。"
        "本机将作为新机重新启动，须由总部重新准备。"
    ),
    "factory.erased": "已清除。本机将作为新机重新启动。",
    "factory.lost": (
        "将永久丢失：账本 {origin}（{entries} 个条目）、审计日志、全部副本、\n"
        "配置、PIN，以及 HSM 中的密钥。此账本名称不可再用：\n"
        "客户手中的证明仍然有效，由总部在名册中停用该名称。\n"
        "未获副署：{waiting}。"
    ),
    "factory.unseen": (
        "因此无法查看：哪些存证未获副署、哪些未导出；审计日志是否已结束；有哪些密钥。\n"
        "丢失的内容将无从得知。修复配置或执行 `recover` 可保留账本。请先询问总部。"
    ),
    "factory.blind": "若未经查看仍要继续，请输入 {word}：",
    "factory.blind-begun": "正在销毁已知的密钥并清除磁盘，需数分钟……",
    "factory.ask": "无法撤销。请输入 {word}：",
    "factory.begun": "正在将审计日志写入账本，然后销毁密钥并清除磁盘，需数分钟……",
    "factory.done": "本机已清空。`commission` 可设置新的网关。",
    "factory.without.audit": "若不将审计日志写入账本即结束，请输入 {word}：",
    "factory.without.keys": "若将密钥留在 HSM 中，请输入 {word}：",
    "factory.nothing": "全部已获副署，无需输出。",
    "factory.export": "以下为 {waiting} 个条目。请让终端程序保存所显示的内容。",
}
ZH_HANT = {
    "help.configure.ports": "8883，或 8883/8884：第二個端口用於發布",
    "help.configure.network-dhcp": "由網絡分配本機位址",
    "help.configure.network-static": "指定本機位址",
    "help.configure.network-vlan": "本機所在的 VLAN",
    "help.configure.network-dns": "網域名稱伺服器；按次序全部列出",
    "help.configure.network-ntp": "時間伺服器；全部列出",
    "help.configure.network-proxy": "連接訊息代理所經的代理伺服器",
    "help.configure.network-confirm": "保留已套用的網絡變更",
    "help.configure.network-rollback": "撤回已套用的網絡變更",
    "help.configure.address": "連同網絡長度，如 192.0.2.10/24",
    "help.configure.gateway": "出口路由，如 192.0.2.1",
    "help.configure.vlan": "1 至 4094，或 none（無）",
    "help.configure.dns": "位址，如 192.0.2.53",
    "help.configure.ntp": "時間伺服器的名稱或位址",
    "help.configure.proxy": "代理伺服器的名稱或位址",
    "help.configure.proxy-port": "1 至 65535，如 3128",
    "group.configure-network": "本機網絡：位址、VLAN、DNS、NTP、代理伺服器",
    "group.configure-broker": "訊息代理（寫入候選設定）",
    "configure.ask.method": "dhcp 或 static",
    "configure.network-applied": (
        "網絡變更生效 {seconds} 秒。若連線正常，請輸入 `configure network confirm`。"
    ),
    "configure.network-taken-back": "已撤回：網絡恢復原狀。",
    "help.show.differences": "候選設定的變更，以及是否有變更待確認",
    "help.configure.institution": "機構名稱（寫入候選設定）",
    "help.configure.jurisdiction": "所在地，如 HK 或 CN-GD（寫入候選設定）",
    "help.configure.broker-add": "新增一個訊息代理（寫入候選設定）",
    "help.configure.broker-remove": "刪除一個訊息代理（寫入候選設定）",
    "help.configure.commit": "套用候選設定；不確認則自動撤回",
    "help.configure.confirm": "保留已套用的變更",
    "help.configure.rollback": "撤回已套用的變更",
    "help.configure.discard": "捨棄候選設定",
    "help.configure.name": "名稱；含空格時加引號",
    "help.configure.place": "ISO 3166 代碼",
    "help.configure.host": "訊息代理的名稱或位址",
    "help.configure.port": "1 至 65535，如 8883",
    "help.configure.security": "tls（使用證書），或 plain（僅限本機）",
    "help.configure.tls-name": "其證書中的名稱（若不同）",
    "help.configure.seconds": "自動撤回前的秒數，30 至 3600；預設 300",
    "configure.ask.address": "位址，如 192.0.2.10/24：",
    "configure.ask.gateway": "預設閘道：",
    "configure.next": "尚未變更：`configure commit` 使其生效。",
    "configure.none": "沒有候選設定，無待變更項目。",
    "configure.pending": "變更已生效，{seconds} 秒後撤回：`configure confirm` 可保留。",
    "configure.applying": "正在套用，閘道重新啟動……",
    "configure.applied": "生效 {seconds} 秒。確認一切正常後，請輸入 `configure confirm`。",
    "configure.confirmed": "已確認，變更保留。",
    "configure.taken-back": "已撤回。候選設定仍在：`show differences`。",
    "configure.discarded": "候選設定已捨棄，未作變更。",
    "help.unit": "gateway（閘道服務）、hsm（獨立執行的模組）、broker（訊息代理）",
    "help.restart": "停止並重新啟動服務",
    "help.start": "啟動服務",
    "help.stop": "正常停止服務；更換磁碟前先停止 gateway",
    "help.reboot": "重新啟動本機",
    "help.switch": "從另一韌體分區啟動",
    "help.slot": "a 或 b",
    "unit.restart.begun": "正在重新啟動 {unit}……",
    "unit.restart.done": "{unit} 已重新啟動。",
    "unit.start.begun": "正在啟動 {unit}……",
    "unit.start.done": "{unit} 已啟動。",
    "unit.stop.begun": "正在停止 {unit}……",
    "unit.stop.done": "{unit} 已停止。`start {unit}` 可啟動。",
    "reboot.ask": "本機將重新啟動。請輸入 {word}：",
    "reboot.done": "即將重新啟動。請保持連線，稍後會再次顯示歡迎訊息。",
    "slot.done": "下次從分區 {slot} 啟動。",
    "help.show.firmware": "兩個韌體分區：內容、目前執行、下次啟動",
    "help.firmware.install": "把 USB 儲存裝置上的（或已下載的）更新寫入未執行的分區",
    "firmware.good": "正常",
    "firmware.not-good": "未確認正常",
    "firmware.running": "正在執行",
    "firmware.next": "下次啟動",
    "firmware.about": (
        "USB 儲存裝置上的更新（沒有該裝置時為已下載的更新），兩個簽署都正確後寫入未執行的分區。\n"
        "正在執行的分區、帳本與設定保持不變。"
    ),
    "firmware.ask": "現在寫入？請輸入 {word}：",
    "firmware.begun": "正在檢查並寫入，需數分鐘；按 Ctrl-C 後仍繼續進行。",
    "firmware.done": (
        "版本 {version} 已在分區 {slot}，下次啟動使用：`reboot`。"
        "如不能運作，設備會自動回到目前版本。"
    ),
    "help.recover": "磁碟遺失後，從其他成員取回帳本",
    "help.show.recovery": "復原的進度",
    "recover.about": (
        "閘道將停止，並從其他成員取回帳本。\n"
        "僅在磁碟遺失或被還原為舊副本之後使用。不會覆寫任何內容：舊帳本保留在旁。"
    ),
    "recover.ask": "輸入 {word} 開始：",
    "recover.begun": "正在詢問其他成員。按 Ctrl-C 後仍繼續進行：`show recovery` 可再查看。",
    "recover.running": "…… {seconds} 秒",
    "recover.state.none": "本機啟動後未進行過復原。",
    "recover.state.running": "正在進行。",
    "recover.good": "帳本可以繼續。下一步：`start gateway`。",
    "recover.field.origin": "帳本",
    "recover.field.entries": "條目",
    "recover.field.answered": "已應答",
    "recover.field.silent": "未應答",
    "recover.field.report": "交總部的報告",
    "help.factory.reset": "清除本機全部內容；需兩名技術員",
    "help.factory.export": "重設前，輸出未獲副署的條目",
    "help.factory.erase": "重設後，清除整個磁碟；需兩名技術員",
    "factory.erasing": (
        "將銷毀磁碟的密鑰，技術員、本機密鑰和全部記錄隨之清除。"
        "本機將作為新機重新啟動，須由總部重新準備。"
    ),
    "factory.erased": "已清除。本機將作為新機重新啟動。",
    "factory.lost": (
        "將永久遺失：帳本 {origin}（{entries} 個條目）、審計日誌、全部副本、\n"
        "設定、PIN，以及 HSM 中的密鑰。此帳本名稱不可再用：\n"
        "客戶手中的證明仍然有效，由總部在名冊中停用該名稱。\n"
        "未獲副署：{waiting}。"
    ),
    "factory.unseen": (
        "因此無法查看：哪些存證未獲副署、哪些未匯出；審計日誌是否已結束；有哪些密鑰。\n"
        "遺失的內容將無從得知。修復設定或執行 `recover` 可保留帳本。請先詢問總部。"
    ),
    "factory.blind": "若未經查看仍要繼續，請輸入 {word}：",
    "factory.blind-begun": "正在銷毀已知的密鑰並清除磁碟，需數分鐘……",
    "factory.ask": "無法撤銷。請輸入 {word}：",
    "factory.begun": "正在將審計日誌寫入帳本，然後銷毀密鑰並清除磁碟，需數分鐘……",
    "factory.done": "本機已清空。`commission` 可設定新的閘道。",
    "factory.without.audit": "若不將審計日誌寫入帳本即結束，請輸入 {word}：",
    "factory.without.keys": "若將密鑰留在 HSM 中，請輸入 {word}：",
    "factory.nothing": "全部已獲副署，無需輸出。",
    "factory.export": "以下為 {waiting} 個條目。請讓終端程式儲存所顯示的內容。",
}
