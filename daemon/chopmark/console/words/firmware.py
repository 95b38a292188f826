"""Of a release by network or line: `firmware fetch`, `receive`, `cancel`, `configure firmware`."""

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
    "firmware.fetch.waits": "Release {version} is here, and is not installed.",
    "help.firmware.receive": "take an update over this line by ZMODEM, where the line is quick",
    "firmware.receive.takes": (
        "At {speed} baud {size} MB take {hours} h {minutes} min. At a USB port the figure does "
        "not count, and it is quicker."
    ),
    "firmware.receive.about": (
        "Send both files of the release, ….note and ….raucb ({size} MB), in your terminal program "
        "now. What breaks off is gone on with: give the command again. Ctrl-C cancels."
    ),
    "firmware.receive.done": "Note and bundle are here: `firmware install` checks and writes them.",
    "firmware.receive.half": "The other file of the release is still to come: `firmware receive`.",
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
    "firmware.fetch.waits": "版本 {version} 已到达，尚未安装。",
    "help.firmware.receive": "用 ZMODEM 经本线路接收更新（适用于快速线路）",
    "firmware.receive.takes": (
        "以 {speed} 波特，{size} MB 需 {hours} 小时 {minutes} 分钟；USB 端口不受此限，会更快。"
    ),
    "firmware.receive.about": (
        "请现在在终端程序中发送版本的两个文件：….note 与 ….raucb（{size} MB）。\n"
        "中断后再次输入此命令即可继续。Ctrl-C 取消。"
    ),
    "firmware.receive.done": "签署与更新文件均已到达：`firmware install` 会检查并写入。",
    "firmware.receive.half": "还缺版本的另一个文件：`firmware receive`。",
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
    "firmware.fetch.waits": "版本 {version} 已到達，尚未安裝。",
    "help.firmware.receive": "用 ZMODEM 經本線路接收更新（適用於快速線路）",
    "firmware.receive.takes": (
        "以 {speed} 鮑，{size} MB 需 {hours} 小時 {minutes} 分鐘；USB 連接埠不受此限，會更快。"
    ),
    "firmware.receive.about": (
        "請現在在終端機程式中傳送版本的兩個檔案：….note 與 ….raucb（{size} MB）。\n"
        "中斷後再次輸入此命令即可繼續。Ctrl-C 取消。"
    ),
    "firmware.receive.done": "簽署與更新檔案均已到達：`firmware install` 會檢查並寫入。",
    "firmware.receive.half": "還缺版本的另一個檔案：`firmware receive`。",
}
