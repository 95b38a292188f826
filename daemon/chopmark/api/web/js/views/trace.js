/** Trace: the life of a document over all ledgers, as a timeline. */

import { chooser, readFiles, save } from "../deal/desk.js";
import { messages, purposeName } from "../deal/words.js";
import { h, set } from "../dom.js";
import { exactly, list, moment, number } from "../format.js";
import { t } from "../i18n/index.js";
import { ownWords, problemBox } from "../problem.js";
import { announce } from "../shell.js";
import { shape, tone } from "../verdicts.js";
import { kindName } from "../verify/expect.js";
import { learn, memberOf } from "../verify/members.js";

export { messages };

/** How each step looks; nothing here is a verdict, so nothing is green but what holds still. */
const LOOKS = {
  attested: "valid", witnessed: "valid", superseded: "superseded", revoked: "revoked",
  consented: "attestation-only", withdrawn: "unwitnessed", used: "attestation-only",
};
/** At the customer's request. */
const CUSTOMER = 3;

export function mount(root, app) {
  const stop = new AbortController();
  const results = h("div", { class: "deal", "aria-live": "polite" });
  const take = async (files) => {
    set(results, h("p", { class: "muted" }, t("deal.reading")));
    try {
      const found = await readFiles(files, stop.signal);
      await look(results, app, found, stop.signal);
    } catch (error) {
      if (error.name !== "AbortError") set(results, problemBox("status" in error ? error : { status: 0, code: "unreadable-file", message: "", hint: "" }));
    }
  };
  set(root, h("div", { class: "head" }, h("h1", {}, t("trace.title")), h("p", {}, t("trace.lead"))),
    h("div", { class: "deal" }, chooser(t("trace.drop"), t("trace.hint"), take), results));
  return () => stop.abort();
}

async function look(results, app, found, signal) {
  const body = { records: found.records };
  if (found.digests) body.digests = found.digests;
  if (found.proof) body.proof = found.proof;
  const [report, { members }] = await Promise.all([app.api.post("/v1/trace", body, { signal }), learn(app.api)]);
  const name = found.file?.name ?? "trace";
  const draw = () => look(results, app, found, signal);
  set(results, show(report, { app, members, name, signal, draw }));
  announce(t("trace.told", { count: report.steps.length, size: number(report.steps.length) }));
}

function show(report, scene) {
  if (report.steps.length === 0) return [h("p", { class: "card" }, t("trace.nothing")), ownWords(report.warnings)];
  const withdrawn = new Set(report.steps.filter((one) => one.step === "withdrawn").map((one) => `${one.origin}#${one.consent}`));
  return [
    h("section", { class: "card" }, h("h2", {}, t("trace.life")),
      h("ol", { class: "life" }, report.steps.map((step) => event(step, report, scene, withdrawn)))),
    ownWords(report.warnings),
    h("p", { class: "small muted" }, t(report.as_of ? "trace.as-of" : "trace.as-of.none", { when: report.as_of && moment(report.as_of) })),
    h("p", { class: "small muted" }, t("trace.private")),
    h("div", { class: "deal-saves" },
      h("button", { type: "button", class: "button", onclick: () => save(JSON.stringify(report), `${scene.name}.trace.json`, "application/json") }, t("trace.save")),
      h("button", { type: "button", class: "button", onclick: () => print() }, t("verify.print.list"))),
  ];
}

function event(step, report, scene, withdrawn) {
  const word = LOOKS[step.step];
  const mine = step.step === "consented" && step.origin === scene.members[0].origin && !withdrawn.has(`${step.origin}#${step.index}`);
  return h("li", { dataset: { tone: tone(word), step: step.step } }, shape(word, 28), h("div", {},
    h("h3", {}, t(`trace.step.${step.step}`)),
    h("time", { class: "muted small", datetime: happened(step, report) }, exactly(happened(step, report))),
    h("p", {}, says(step, report, scene)),
    h("p", { class: "code small muted" }, `${step.origin}#${step.index}`),
    mine && mayWithdraw(scene) && withdrawal(step, scene)));
}

/** When a step was: cosignatures say whole seconds, and what they are of was attested before. */
function happened(step, report) {
  const said = step.seen_by ?? step.time;
  const attested = step.step === "witnessed"
    && report.steps.find((one) => one.step === "attested" && one.about === step.about)?.time;
  return attested && attested.slice(0, 19) === said.slice(0, 19) && attested > said ? attested : said;
}

const mayWithdraw = ({ app }) => !app.session.who?.signed_in || app.session.who.roles.includes("issuer");

function says(step, report, { members }) {
  const who = nameOf(step.origin, report, members);
  switch (step.step) {
    case "attested": return t("trace.says.attested", { who, kind: kindName(step.kind) });
    case "witnessed": return t(`trace.says.${step.quorum}`, {
      names: list([...new Set((step.by ?? []).map(({ name }) => memberOf(members, name)?.institution ?? name))]),
    });
    case "superseded": return t("trace.says.superseded", { who });
    case "revoked": return `${t("trace.says.revoked", { who })} ${t(`reason.${step.reason}`, {}, "")}`;
    case "consented": return t("trace.says.consented", {
      receiver: nameOf(step.receiver, report, members), purpose: purposeName(step.purpose), when: moment(step.valid_until),
    });
    case "withdrawn": return t("trace.says.withdrawn", { entry: number(step.consent) });
    default: return t(step.consent === undefined ? "trace.says.used.free" : "trace.says.used", {
      who, purpose: purposeName(step.purpose), entry: number(step.consent ?? 0),
    });
  }
}

const nameOf = (origin, report, members) =>
  report.parties[origin]?.institution ?? members.find((one) => one.origin === origin)?.institution ?? origin;

/** A button, and a second one that asks whether that is meant: it cannot be undone. */
function withdrawal(step, { app, signal, draw }) {
  const place = h("p", {});
  const go = async () => {
    try {
      await app.api.post("/v1/revocations", { index: step.index, reason: CUSTOMER }, { signal });
      await draw();
    } catch (error) {
      set(place, problemBox(error));
    }
  };
  const ask = () => set(place, t("trace.withdraw.sure"), " ",
    h("button", { type: "button", class: "button small", onclick: go }, t("trace.withdraw.yes")), " ",
    h("button", { type: "button", class: "button small plain", onclick: offer }, t("trace.withdraw.no")));
  const offer = () => set(place, h("button", { type: "button", class: "button small", onclick: ask }, t("trace.withdraw")));
  offer();
  return place;
}
