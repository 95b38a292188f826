"""Of `hsm pin` and `hsm unlatch`."""

EN = {
    "group.hsm": "the HSM's PIN, after it was refused or where one is awaited",
    "help.hsm.pin": "type another PIN; it is tried once",
    "help.hsm.unlatch": "have the PIN that is in place tried again, once",
    "hsm.pin.about": "The token counts wrong PINs, and locks itself after a few. Do not guess.",
    "hsm.pin.low": "The token has counted wrong PINs already. A few more lock it for good.",
    "hsm.pin.latched": "A PIN was refused here before. Is it certain what the right one is?",
    "hsm.pin.unknown": "How many tries are left cannot be seen. It may be the last one.",
    "hsm.pin.sure": "Type {word} to have one tried all the same",
    "hsm.pin.ask": "PIN of the HSM",
    "hsm.pin.keep": "Use it from the next start on, too? Type {word}",
    "hsm.pin.kept": "It is in place now.",
    "hsm.pin.memory": "It is kept in memory until the gateway stops.",
}
ZH_HANS = {
    "group.hsm": "HSM 的 PIN：被拒绝之后，或正在等待时",
    "help.hsm.pin": "输入另一个 PIN，只尝试一次",
    "help.hsm.unlatch": "再次尝试已放入的 PIN，只一次",
    "hsm.pin.about": "错误的 PIN 会被令牌计数，数次之后令牌自行锁定。请勿猜测。",
    "hsm.pin.low": "令牌已记录到错误的 PIN。再错几次，令牌将永久锁定。",
    "hsm.pin.latched": "此前已有 PIN 被拒绝。能确定正确的 PIN 吗？",
    "hsm.pin.unknown": "无法查看剩余的尝试次数，这可能是最后一次。",
    "hsm.pin.sure": "仍要尝试，请输入 {word}：",
    "hsm.pin.ask": "HSM 的 PIN",
    "hsm.pin.keep": "下次启动时也使用吗？请输入 {word}",
    "hsm.pin.kept": "已放入。",
    "hsm.pin.memory": "仅保存在内存中，直到网关停止。",
}
ZH_HANT = {
    "group.hsm": "HSM 的 PIN：被拒絕之後，或正在等待時",
    "help.hsm.pin": "輸入另一個 PIN，只嘗試一次",
    "help.hsm.unlatch": "再次嘗試已放入的 PIN，只一次",
    "hsm.pin.about": "錯誤的 PIN 會被權杖計數，數次之後權杖自行鎖定。請勿猜測。",
    "hsm.pin.low": "權杖已記錄到錯誤的 PIN。再錯幾次，權杖將永久鎖定。",
    "hsm.pin.latched": "此前已有 PIN 被拒絕。能確定正確的 PIN 嗎？",
    "hsm.pin.unknown": "無法查看剩餘的嘗試次數，這可能是最後一次。",
    "hsm.pin.sure": "仍要嘗試，請輸入 {word}：",
    "hsm.pin.ask": "HSM 的 PIN",
    "hsm.pin.keep": "下次啟動時也使用嗎？請輸入 {word}",
    "hsm.pin.kept": "已放入。",
    "hsm.pin.memory": "僅保存在記憶體中，直到閘道停止。",
}
