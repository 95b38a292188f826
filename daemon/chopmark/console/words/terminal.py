"""Of the terminal itself: prompts, paging, help and what is typed wrongly."""

EN = {"error.do": "do"}
ZH_HANS = {"error.do": "请"}
ZH_HANT = {"error.do": "請"}
