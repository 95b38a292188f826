/**
 * Sign in and out: `#/signin`, or `#/signin/CODE` with what went wrong at the OpenID provider.
 *
 * Messages: all keys that begin with `signin.`, in `messages` below, by language.
 */

import { h, set, uid } from "../dom.js";
import { changePassword, learn, signIn, signOut } from "../session.js";

const PROBLEMS = [
  "sign-in-needed", "session-ended", "wrong-credentials", "locked-out", "overloaded", "weak-password",
  "oidc-refused", "oidc-unreachable", "no-role-here", "no-answer", "csrf-token-wrong",
];
const LEAST = 12;
const MOST = 256;

/** Messages of this view. `{wait}` is a time in words, `{name}` and `{who}` are names. */
export const messages = {
  en: {
    "signin.title": "Sign in",
    "signin.lead": "With your account at this gateway, or with that of your bank.",
    "signin.lead.local": "With your account at this gateway. An operator of your bank makes it.",
    "signin.name": "Name",
    "signin.password": "Password",
    "signin.show": "Show password",
    "signin.submit": "Sign in",
    "signin.busy": "Signing in…",
    "signin.oidc": "Sign in with your bank account",
    "signin.or": "or",
    "signin.in.title": "You are signed in",
    "signin.known.title": "You are known here",
    "signin.known.certificate": "Your browser has shown a certificate, so there is nothing to sign in to.",
    "signin.known.loopback": "On this machine everybody may use the gateway, so there is nothing to sign in to.",
    "signin.guest": "Your branch may verify documents without signing in. For anything else, sign in.",
    "signin.who": "Name",
    "signin.by": "Signed in by",
    "signin.by.password": "name and password",
    "signin.by.oidc": "your bank’s sign-in",
    "signin.by.certificate": "certificate",
    "signin.by.loopback": "this machine",
    "signin.by.socket": "this machine",
    "signin.roles": "You may",
    "signin.role.verifier": "verify documents and look into ledgers",
    "signin.role.issuer": "attest and revoke documents",
    "signin.role.auditor": "read the audit log",
    "signin.role.operator": "look after the gateway",
    "signin.ends": "Ends",
    "signin.ends.in": "after {idle} without a request, and in {left} at the latest",
    "signin.minutes.one": "{count} minute",
    "signin.minutes.other": "{count} minutes",
    "signin.hours.one": "{count} hour",
    "signin.hours.other": "{count} hours",
    "signin.seconds.one": "{count} second",
    "signin.seconds.other": "{count} seconds",
    "signin.out": "Sign out",
    "signin.change": "Change password",
    "signin.change.old": "Password until now",
    "signin.change.new": "New password",
    "signin.change.again": "New password again",
    "signin.change.hint": "12 characters at least. Four words are easy to remember and hard to guess.",
    "signin.change.differ": "The two new passwords are not the same.",
    "signin.change.done": "Your password is changed. Other browsers are signed out.",
    "signin.missing": "Give your name and your password.",
    "signin.problem.sign-in-needed": "Sign in to go on.",
    "signin.problem.session-ended": "Your session has ended. Sign in again to go on.",
    "signin.problem.wrong-credentials": "Name and password do not go together.",
    "signin.problem.locked-out": "Too many wrong passwords. Try again in {wait}, or ask your operator.",
    "signin.problem.overloaded": "Too many people sign in at this moment. Try again in a few seconds.",
    "signin.problem.weak-password": "The new password is too short, too simple, or your name.",
    "signin.problem.oidc-refused": "Your bank’s sign-in did not succeed. Begin again.",
    "signin.problem.oidc-unreachable": "Your bank’s sign-in does not answer. Try again later, or use an account at this gateway.",
    "signin.problem.no-role-here": "Your bank knows you, but has given you nothing to do here. Ask your operator.",
    "signin.problem.no-answer": "The gateway does not answer. Check the network, and try again.",
    "signin.problem.csrf-token-wrong": "This page is out of date. Load it again.",
    "signin.problem.other": "That did not succeed.",
  },
  "zh-Hant": {
    "signin.title": "登入",
    "signin.lead": "使用本閘道的帳戶，或貴行的帳戶登入。",
    "signin.lead.local": "使用本閘道的帳戶登入。帳戶由貴行的管理人員建立。",
    "signin.name": "名稱",
    "signin.password": "密碼",
    "signin.show": "顯示密碼",
    "signin.submit": "登入",
    "signin.busy": "正在登入…",
    "signin.oidc": "使用銀行帳戶登入",
    "signin.or": "或",
    "signin.in.title": "您已登入",
    "signin.known.title": "系統已識別您",
    "signin.known.certificate": "您的瀏覽器已出示證書，因此無須登入。",
    "signin.known.loopback": "本機上的所有人均可使用此閘道，因此無須登入。",
    "signin.guest": "貴分行無須登入即可驗證文件。如需其他功能，請登入。",
    "signin.who": "名稱",
    "signin.by": "登入方式",
    "signin.by.password": "名稱和密碼",
    "signin.by.oidc": "銀行統一登入",
    "signin.by.certificate": "證書",
    "signin.by.loopback": "本機",
    "signin.by.socket": "本機",
    "signin.roles": "您可以",
    "signin.role.verifier": "驗證文件、查閱帳本",
    "signin.role.issuer": "存證和撤銷文件",
    "signin.role.auditor": "閱讀審計記錄",
    "signin.role.operator": "管理閘道",
    "signin.ends": "結束時間",
    "signin.ends.in": "{idle}內無操作後結束，最遲在{left}後結束",
    "signin.minutes.other": "{count} 分鐘",
    "signin.hours.other": "{count} 小時",
    "signin.seconds.other": "{count} 秒",
    "signin.out": "登出",
    "signin.change": "更改密碼",
    "signin.change.old": "目前密碼",
    "signin.change.new": "新密碼",
    "signin.change.again": "再次輸入新密碼",
    "signin.change.hint": "至少 12 個字元。四個單詞易記難猜。",
    "signin.change.differ": "兩次輸入的新密碼不一致。",
    "signin.change.done": "密碼已更改。其他瀏覽器已登出。",
    "signin.missing": "請輸入名稱和密碼。",
    "signin.problem.sign-in-needed": "請登入後繼續。",
    "signin.problem.session-ended": "您的登入已結束，請重新登入後繼續。",
    "signin.problem.wrong-credentials": "名稱與密碼不符。",
    "signin.problem.locked-out": "密碼錯誤次數過多。請在{wait}後再試，或聯絡管理人員。",
    "signin.problem.overloaded": "目前登入人數過多，請稍候數秒再試。",
    "signin.problem.weak-password": "新密碼太短、太簡單，或與名稱相同。",
    "signin.problem.oidc-refused": "銀行統一登入未成功，請重新開始。",
    "signin.problem.oidc-unreachable": "銀行統一登入沒有回應。請稍後再試，或使用本閘道的帳戶。",
    "signin.problem.no-role-here": "銀行已識別您，但尚未在此授予任何權限。請聯絡管理人員。",
    "signin.problem.no-answer": "閘道沒有回應。請檢查網絡後再試。",
    "signin.problem.csrf-token-wrong": "此頁面已過時，請重新載入。",
    "signin.problem.other": "未能成功。",
  },
  "zh-Hans": {
    "signin.title": "登录",
    "signin.lead": "使用本网关的账户，或贵行的账户登录。",
    "signin.lead.local": "使用本网关的账户登录。账户由贵行的管理人员创建。",
    "signin.name": "名称",
    "signin.password": "密码",
    "signin.show": "显示密码",
    "signin.submit": "登录",
    "signin.busy": "正在登录…",
    "signin.oidc": "使用银行账户登录",
    "signin.or": "或",
    "signin.in.title": "您已登录",
    "signin.known.title": "系统已识别您",
    "signin.known.certificate": "您的浏览器已出示证书，因此无需登录。",
    "signin.known.loopback": "本机上的所有人均可使用此网关，因此无需登录。",
    "signin.guest": "贵网点无需登录即可验证文件。如需其他功能，请登录。",
    "signin.who": "名称",
    "signin.by": "登录方式",
    "signin.by.password": "名称和密码",
    "signin.by.oidc": "银行统一登录",
    "signin.by.certificate": "证书",
    "signin.by.loopback": "本机",
    "signin.by.socket": "本机",
    "signin.roles": "您可以",
    "signin.role.verifier": "验证文件、查阅账本",
    "signin.role.issuer": "存证和撤销文件",
    "signin.role.auditor": "阅读审计记录",
    "signin.role.operator": "管理网关",
    "signin.ends": "结束时间",
    "signin.ends.in": "{idle}内无操作后结束，最迟在{left}后结束",
    "signin.minutes.other": "{count} 分钟",
    "signin.hours.other": "{count} 小时",
    "signin.seconds.other": "{count} 秒",
    "signin.out": "退出登录",
    "signin.change": "修改密码",
    "signin.change.old": "当前密码",
    "signin.change.new": "新密码",
    "signin.change.again": "再次输入新密码",
    "signin.change.hint": "至少 12 个字符。四个单词易记难猜。",
    "signin.change.differ": "两次输入的新密码不一致。",
    "signin.change.done": "密码已修改。其他浏览器已退出登录。",
    "signin.missing": "请输入名称和密码。",
    "signin.problem.sign-in-needed": "请登录后继续。",
    "signin.problem.session-ended": "您的登录已结束，请重新登录后继续。",
    "signin.problem.wrong-credentials": "名称与密码不符。",
    "signin.problem.locked-out": "密码错误次数过多。请在{wait}后再试，或联系管理人员。",
    "signin.problem.overloaded": "目前登录人数过多，请稍候几秒再试。",
    "signin.problem.weak-password": "新密码太短、太简单，或与名称相同。",
    "signin.problem.oidc-refused": "银行统一登录未成功，请重新开始。",
    "signin.problem.oidc-unreachable": "银行统一登录没有响应。请稍后再试，或使用本网关的账户。",
    "signin.problem.no-role-here": "银行已识别您，但尚未在此授予任何权限。请联系管理人员。",
    "signin.problem.no-answer": "网关没有响应。请检查网络后再试。",
    "signin.problem.csrf-token-wrong": "此页面已过期，请重新加载。",
    "signin.problem.other": "未能成功。",
  },
};

/**
 * @param {HTMLElement} root
 * @param {{api: object, i18n: {t: Function}, session: object}} app
 * @param {string[]} [rest] what follows the view's name in the address: the code of a problem
 */
export function mount(root, app, rest = []) {
  const t = app.i18n.t;
  let gone = false;
  const draw = (who, problem = null) => {
    if (gone) return;
    if (who.signed_in) set(root, ...signedIn(t, app, who, draw));
    else set(root, ...signedOut(t, app, who, problem, draw));
  };
  const code = PROBLEMS.includes(rest[0]) ? rest[0] : null;
  learn(app).then(
    (who) => draw(who, who.signed_in ? null : first(who, code)),
    (problem) => draw({ signed_in: false, methods: ["password"], by: null }, problem),
  );
  return () => { gone = true; };
}

/** What to say at first: what the address tells, or that a session has ended. */
function first(who, code) {
  if (code) return { code };
  return who.reason === "session-ended" ? { code: who.reason } : null;
}

function head(title, lead) {
  return h("div", { class: "head" }, h("h1", {}, title), lead && h("p", {}, lead));
}

function signedOut(t, app, who, problem, draw) {
  const lead = who.by === "network" ? "signin.guest" : who.methods.includes("oidc") ? "signin.lead" : "signin.lead.local";
  return [
    head(t("signin.title"), t(lead)),
    h("div", { class: "signin" },
      who.methods.includes("oidc") && h("div", { class: "signin-bank" },
        h("a", { class: "button main", href: "/v1/session/oidc" }, t("signin.oidc")),
        h("p", { class: "signin-or muted small" }, t("signin.or"))),
      who.methods.includes("password") && passwordForm(t, app, problem, draw)),
  ];
}

function passwordForm(t, app, problem, draw) {
  const said = notice(t, problem);
  const name = h("input", {
    type: "text", id: uid("name"), name: "username", autocomplete: "username", autocapitalize: "none",
    spellcheck: "false", required: true, maxlength: 64,
  });
  const password = secret("current-password", "password");
  const submit = h("button", { type: "submit", class: "button main" }, t("signin.submit"));
  const form = h("form", { class: "card signin-form", novalidate: true, onsubmit: send },
    said,
    labelled(t("signin.name"), name),
    labelled(t("signin.password"), password),
    shower(t, password),
    submit);

  async function send(event) {
    event.preventDefault();
    if (submit.getAttribute("aria-disabled") === "true") return;
    if (!name.value || !password.value) {
      say(said, t("signin.missing"));
      (name.value ? password : name).focus();
      return;
    }
    busy(submit, t("signin.busy"));
    try {
      const who = await signIn(app, name.value.trim().toLowerCase(), password.value);
      password.value = "";
      draw(who);
    } catch (refused) {
      password.value = "";
      say(said, explain(t, refused));
      password.focus();
    } finally {
      free(submit, t("signin.submit"));
    }
  }

  return form;
}

function signedIn(t, app, who, draw) {
  const known = !["password", "oidc"].includes(who.by);
  const lead = { certificate: "signin.known.certificate", loopback: "signin.known.loopback" }[who.by];
  const facts = [
    [t("signin.who"), h("bdi", {}, who.name)],
    [t("signin.by"), t(`signin.by.${who.by}`)],
    [t("signin.roles"), h("ul", {}, who.roles.map((role) => h("li", {}, t(`signin.role.${role}`))))],
    who.left_seconds !== null && [
      t("signin.ends"),
      t("signin.ends.in", { idle: time(t, who.idle_seconds), left: time(t, who.left_seconds) }),
    ],
  ].filter(Boolean);
  const said = notice(t, null);
  const out = h("button", { type: "button", class: "button", onclick: leave }, t("signin.out"));

  async function leave() {
    busy(out, t("signin.out"));
    try {
      draw(await signOut(app));
      document.querySelector(".signin-form input")?.focus();
    } catch (refused) {
      say(said, explain(t, refused));
      free(out, t("signin.out"));
    }
  }

  return [
    head(t(known ? "signin.known.title" : "signin.in.title"), lead && t(lead)),
    h("div", { class: "signin" },
      h("div", { class: "card" },
        said,
        h("dl", { class: "facts" }, facts.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])),
        !known && h("div", { class: "signin-tools" }, out)),
      who.by === "password" && changeForm(t, app, who)),
  ];
}

function changeForm(t, app, who) {
  const said = notice(t, null);
  const hint = h("p", { class: "hint", id: uid("hint") }, t("signin.change.hint"));
  const old = secret("current-password", "old");
  const fresh = secret("new-password", "new", { minlength: LEAST, maxlength: MOST, "aria-describedby": hint.id });
  const again = secret("new-password", "again", { minlength: LEAST, maxlength: MOST });
  const submit = h("button", { type: "submit", class: "button" }, t("signin.change"));
  const form = h("form", { class: "signin-form", novalidate: true, onsubmit: send },
    said,
    // For password managers, which want to know whose it is.
    h("input", { type: "text", name: "username", autocomplete: "username", value: who.name, hidden: true, readonly: true }),
    labelled(t("signin.change.old"), old),
    labelled(t("signin.change.new"), fresh, hint),
    labelled(t("signin.change.again"), again),
    submit);

  async function send(event) {
    event.preventDefault();
    if (submit.getAttribute("aria-disabled") === "true") return;
    if (fresh.value !== again.value) {
      say(said, t("signin.change.differ"));
      again.focus();
      return;
    }
    busy(submit, t("signin.busy"));
    try {
      await changePassword(app, old.value, fresh.value);
      form.reset();
      say(said, t("signin.change.done"), "good");
    } catch (refused) {
      say(said, explain(t, refused));
      (refused.code === "wrong-credentials" ? old : fresh).focus();
    } finally {
      free(submit, t("signin.change"));
    }
  }

  return h("details", { class: "card" }, h("summary", {}, t("signin.change")), form);
}

function secret(complete, name, more = {}) {
  return h("input", {
    type: "password", id: uid(name), name, autocomplete: complete, required: true, maxlength: MOST, ...more,
  });
}

function labelled(text, input, more = null) {
  return h("div", { class: "field" }, h("label", { for: input.id }, text), input, more);
}

function shower(t, password) {
  const box = h("input", {
    type: "checkbox", id: uid("show"),
    onchange: () => { password.type = box.checked ? "text" : "password"; },
  });
  return h("div", { class: "check" }, box, h("label", { for: box.id }, t("signin.show")));
}

/** Where problems are said: there from the start, so that a screen reader hears what comes. */
function notice(t, problem) {
  const made = h("div", { role: "alert", class: "signin-said" });
  if (problem) say(made, explain(t, problem));
  return made;
}

function say(place, text, tone = "bad") {
  const kind = tone === "bad" ? { class: "problem" } : { class: "signin-good", "data-tone": tone };
  set(place, h("p", kind, h("strong", {}, text)));
}

function explain(t, problem) {
  if (!PROBLEMS.includes(problem.code)) return t(`problem.${problem.code}`, {}, t("signin.problem.other"));
  return t(`signin.problem.${problem.code}`, { wait: time(t, problem.wait || 1) });
}

/** A length of time in words. */
function time(t, seconds) {
  if (seconds < 60) return t("signin.seconds", { count: seconds });
  if (seconds < 5400) return t("signin.minutes", { count: Math.round(seconds / 60) });
  return t("signin.hours", { count: Math.round(seconds / 3600) });
}

/** It stays in the order of the keyboard, and says what is going on. */
function busy(button, text) {
  button.setAttribute("aria-disabled", "true");
  button.textContent = text;
}

function free(button, text) {
  button.removeAttribute("aria-disabled");
  button.textContent = text;
}
