"""Of `firmware fetch`, `firmware cancel`, `configure firmware`: a release by the network."""

EN = {
    "group.configure-firmware": "where releases come from by the network, in the candidate",
    "help.configure.firmware-ca": "the CA of that server, as PEM; before the source itself",
    "help.configure.firmware-source": "the server's folder, in the candidate",
    "help.configure.firmware-none": "no server, in the candidate",
    "help.configure.url": "such as https://updates.bank.example/chopmark/",
    "help.configure.source-proxy": "HTTP proxy on the way, such as proxy.bank.example:3128",
    "configure.firmware-ca": "The CA is in place. `configure firmware source` names the server.",
    "help.firmware.fetch": "fetch the release that the bank's server has ([firmware])",
    "help.firmware.cancel": "end the fetching; what is here stays for the next time",
    "firmware.fetch.begun": (
        "Looking for a release, and fetching it if it is newer. Nothing is installed.\n"
        "Ctrl-C leaves it going on; `firmware cancel` ends it."
    ),
    "firmware.fetch.progress": (
        "release {version}: {percent} %, {have} of {size} MB, {rate} kB/s, {left} min left"
    ),
    "firmware.fetch.done": (
        "Release {version}, {size} MB, is here, as its note says: `firmware install`."
    ),
    "firmware.fetch.stopped": "It has stopped. `firmware fetch` goes on where it was.",
    "firmware.fetch.waits": "Release {version} was fetched, and is not installed.",
}
ZH_HANS = {
    "group.configure-firmware": "通过网络获取版本的来源（写入候选配置）",
    "help.configure.firmware-ca": "该服务器的签发机构证书（PEM）；先于来源设置",
    "help.configure.firmware-source": "服务器上的目录（写入候选配置）",
    "help.configure.firmware-none": "不设服务器（写入候选配置）",
    "help.configure.url": "例如 https://updates.bank.example/chopmark/",
    "help.configure.source-proxy": "途中的 HTTP 代理，例如 proxy.bank.example:3128",
    "configure.firmware-ca": "签发机构证书已就位。`configure firmware source` 指定服务器。",
    "help.firmware.fetch": "从本行的服务器下载版本（[firmware]）",
    "help.firmware.cancel": "停止下载；已下载的部分留待下次继续",
    "firmware.fetch.begun": (
        "正在查找版本，如较新则下载。不会安装任何内容。\n"
        "按 Ctrl-C 后仍继续进行；`firmware cancel` 可停止。"
    ),
    "firmware.fetch.progress": (
        "版本 {version}：{percent} %，{have}/{size} MB，{rate} kB/s，还需 {left} 分钟"
    ),
    "firmware.fetch.done": "版本 {version}（{size} MB）已下载，与其签署相符：`firmware install`。",
    "firmware.fetch.stopped": "已停止。`firmware fetch` 可从中断处继续。",
    "firmware.fetch.waits": "版本 {version} 已下载，尚未安装。",
}
ZH_HANT = {
    "group.configure-firmware": "經網絡取得版本的來源（寫入候選設定）",
    "help.configure.firmware-ca": "該伺服器的簽發機構證書（PEM）；先於來源設定",
    "help.configure.firmware-source": "伺服器上的目錄（寫入候選設定）",
    "help.configure.firmware-none": "不設伺服器（寫入候選設定）",
    "help.configure.url": "例如 https://updates.bank.example/chopmark/",
    "help.configure.source-proxy": "途中的 HTTP 代理，例如 proxy.bank.example:3128",
    "configure.firmware-ca": "簽發機構證書已就位。`configure firmware source` 指定伺服器。",
    "help.firmware.fetch": "從本行的伺服器下載版本（[firmware]）",
    "help.firmware.cancel": "停止下載；已下載的部分留待下次繼續",
    "firmware.fetch.begun": (
        "正在尋找版本，如較新則下載。不會安裝任何內容。\n"
        "按 Ctrl-C 後仍繼續進行；`firmware cancel` 可停止。"
    ),
    "firmware.fetch.progress": (
        "版本 {version}：{percent} %，{have}/{size} MB，{rate} kB/s，還需 {left} 分鐘"
    ),
    "firmware.fetch.done": "版本 {version}（{size} MB）已下載，與其簽署相符：`firmware install`。",
    "firmware.fetch.stopped": "已停止。`firmware fetch` 可從中斷處繼續。",
    "firmware.fetch.waits": "版本 {version} 已下載，尚未安裝。",
}
