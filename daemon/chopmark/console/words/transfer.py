"""Of `transfer`: files out and in over the line."""

EN = {
    "transfer.help.send": "send a file of the console to your computer",
    "transfer.help.receive": "receive a file from your computer",
    "transfer.help.list": "list the console's files",
    "transfer.help.remove": "remove a file of the console",
    "transfer.help.file": "name of a file, see transfer list",
    "transfer.help.way": "zmodem: your terminal program's file transfer; armour: lines of text; "
    "qr: a code for a camera",
    "transfer.help.blocks": "armoured blocks to send again, such as 17,20-22",
    "transfer.which-way": "Way ({ways}): ",
    "transfer.receive-now": "Sending {name}, {size} bytes, by ZMODEM: start receiving in your "
    "terminal program now.\nCtrl-C cancels.",
    "transfer.send-now": "Waiting for {name} by ZMODEM: start sending in your terminal program "
    "now.\nCtrl-C cancels.",
    "transfer.capture-now": "{name} follows as text: have your terminal program log it to a file. "
    "Ctrl-C cancels.",
    "transfer.captured": "On your computer: chopmark console unarmour LOGFILE\nIt names blocks "
    "that are missing: transfer send {name} armour NUMBERS sends them again.",
    "transfer.paste-now": "Paste what `chopmark console armour {name}` printed, from BEGIN to END. "
    "Nothing is echoed.\nCtrl-C cancels.",
    "transfer.paste-again": "Blocks {numbers} are missing: paste them again (chopmark console "
    "armour FILE --blocks {numbers}). Ctrl-C cancels.",
    "transfer.tall-code": "The code needs a window of {rows} lines: make yours taller, or its "
    "letters smaller.",
    "transfer.press-enter": "Enter shows it: ",
    "transfer.sent": "{name} sent: {size} bytes\nSHA-256 {digest}",
    "transfer.received": "{name} received: {size} bytes\nSHA-256 {digest}",
    "transfer.removed": "{name} removed",
    "transfer.total": "{count} of {most} files, {total} of {room} bytes",
}
ZH_HANS = {
    "transfer.help.send": "把控制台的文件发送到您的电脑",
    "transfer.help.receive": "从您的电脑接收文件",
    "transfer.help.list": "列出控制台的文件",
    "transfer.help.remove": "删除控制台的文件",
    "transfer.help.file": "文件名，见 transfer list",
    "transfer.help.way": "zmodem：终端程序的文件传输；armour：文本行；qr：供摄像头读取的二维码",
    "transfer.help.blocks": "要重新发送的块，例如 17,20-22",
    "transfer.which-way": "方式（{ways}）：",
    "transfer.receive-now": "正在用 ZMODEM 发送 {name}，{size} 字节：请现在在终端程序中开始接收。\n"
    "Ctrl-C 取消。",
    "transfer.send-now": "正在用 ZMODEM 等待 {name}：请现在在终端程序中开始发送。\nCtrl-C 取消。",
    "transfer.capture-now": "{name} 以文本形式输出：请让终端程序把它记录到文件。Ctrl-C 取消。",
    "transfer.captured": "在您的电脑上：chopmark console unarmour 日志文件\n"
    "它会指出缺少的块：用 transfer send {name} armour 块号 重新发送。",
    "transfer.paste-now": "请粘贴 `chopmark console armour {name}` 的输出，从 BEGIN 到 END。"
    "粘贴内容不回显。\nCtrl-C 取消。",
    "transfer.paste-again": "缺少块 {numbers}：请重新粘贴（chopmark console armour FILE "
    "--blocks {numbers}）。Ctrl-C 取消。",
    "transfer.tall-code": "二维码需要 {rows} 行的窗口：请加高窗口或缩小字号。",
    "transfer.press-enter": "按 Enter 显示：",
    "transfer.sent": "{name} 已发送：{size} 字节\nSHA-256 {digest}",
    "transfer.received": "{name} 已接收：{size} 字节\nSHA-256 {digest}",
    "transfer.removed": "{name} 已删除",
    "transfer.total": "{count}/{most} 个文件，{total}/{room} 字节",
}
ZH_HANT = {
    "transfer.help.send": "把控制台的檔案傳送到您的電腦",
    "transfer.help.receive": "從您的電腦接收檔案",
    "transfer.help.list": "列出控制台的檔案",
    "transfer.help.remove": "刪除控制台的檔案",
    "transfer.help.file": "檔案名稱，見 transfer list",
    "transfer.help.way": "zmodem：終端機程式的檔案傳輸；armour：文字行；qr：供鏡頭讀取的二維碼",
    "transfer.help.blocks": "要重新傳送的區塊，例如 17,20-22",
    "transfer.which-way": "方式（{ways}）：",
    "transfer.receive-now": "正在用 ZMODEM 傳送 {name}，{size} 位元組：請現在在終端機程式中開始"
    "接收。\nCtrl-C 取消。",
    "transfer.send-now": "正在用 ZMODEM 等待 {name}：請現在在終端機程式中開始傳送。\nCtrl-C 取消。",
    "transfer.capture-now": "{name} 以文字輸出：請讓終端機程式把它記錄到檔案。Ctrl-C 取消。",
    "transfer.captured": "在您的電腦上：chopmark console unarmour 記錄檔\n"
    "它會指出缺少的區塊：用 transfer send {name} armour 區塊號 重新傳送。",
    "transfer.paste-now": "請貼上 `chopmark console armour {name}` 的輸出，從 BEGIN 到 END。"
    "貼上的內容不回顯。\nCtrl-C 取消。",
    "transfer.paste-again": "缺少區塊 {numbers}：請重新貼上（chopmark console armour FILE "
    "--blocks {numbers}）。Ctrl-C 取消。",
    "transfer.tall-code": "二維碼需要 {rows} 行的視窗：請加高視窗或縮小字型。",
    "transfer.press-enter": "按 Enter 顯示：",
    "transfer.sent": "{name} 已傳送：{size} 位元組\nSHA-256 {digest}",
    "transfer.received": "{name} 已接收：{size} 位元組\nSHA-256 {digest}",
    "transfer.removed": "{name} 已刪除",
    "transfer.total": "{count}/{most} 個檔案，{total}/{room} 位元組",
}
