/** Scenarios: pick one, and be guided through what is to be done at this institution. */

import { chooser, choice, readFiles, save } from "../deal/desk.js";
import { messages, purposeName } from "../deal/words.js";
import { h, set, uid } from "../dom.js";
import { list, moment, number, place } from "../format.js";
import { t } from "../i18n/index.js";
import { problemBox } from "../problem.js";
import { announce } from "../shell.js";
import { shape } from "../verdicts.js";
import { kindName } from "../verify/expect.js";
import { patiently } from "../verify/members.js";

export { messages };

const DAY = 86_400_000;

/** The address says which scenario: `#/scenario/sme-loan-hk-sz`. */
export function mount(root, app, [name = ""] = []) {
  const stop = new AbortController();
  const body = h("div", { class: "deal" }, h("p", { class: "muted" }, t("loading")));
  set(root, h("div", { class: "head" }, h("h1", {}, t("deal.title")), h("p", {}, t("deal.lead"))), body);
  open(body, app, name, stop.signal).catch((error) => {
    if (error.name !== "AbortError") set(body, problemBox(error));
  });
  return () => stop.abort();
}

async function open(body, app, name, signal) {
  const [own, peers, roster] = await Promise.all(
    ["/v1/status", "/v1/peers", "/v1/roster"].map((path) => patiently(app.api, path)));
  if (signal.aborted) return;
  const scene = { app, own, members: [own, ...peers], signal };
  const scenarios = roster.scenarios ?? [];
  if (scenarios.length === 0) {
    set(body, h("p", { class: "card" }, t("deal.none")));
    return;
  }
  const chosen = scenarios.find((one) => one.name === name);
  set(body, cards(scenarios, chosen), chosen && guide(chosen, scene));
}

function cards(scenarios, chosen) {
  return h("ul", { class: "deal-cards", "aria-label": t("deal.pick") }, scenarios.map((one) =>
    h("li", {}, h("a", { class: "card deal-card", href: `#/scenario/${encodeURIComponent(one.name)}`, "aria-current": one === chosen ? "true" : null },
      h("h2", {}, h("bdi", {}, one.title ?? one.name)),
      h("p", { class: "small muted" }, t("deal.way", { from: parties(one.issuers), to: parties(one.receivers) })),
      h("p", { class: "small" }, list(one.purposes.map(purposeName)))))));
}

/** Institutions by their names, jurisdictions by theirs. */
const parties = (names) => list(names.map((name) => (/^[A-Z]{2}(-[A-Z0-9]{1,3})?$/.test(name) ? place(name) : name)));

/** What is to be done here: as the issuer, as the receiver, or nothing. */
function guide(scenario, scene) {
  const { own } = scene;
  const roles = [
    scenario.issuing.includes(own.id) && ["issuer", issuing],
    scenario.receiving.includes(own.id) && ["receiver", receiving],
  ].filter(Boolean);
  if (roles.length === 0) return h("p", { class: "card" }, t("deal.neither"));
  return roles.map(([role, steps]) => h("section", { class: "deal-guide", "aria-label": t(`deal.as.${role}`) },
    h("h2", {}, t(`deal.as.${role}`)), h("p", { class: "muted" }, t(`deal.as.${role}.lead`)),
    h("ol", { class: "deal-steps" }, steps(scenario, scene))));
}

/** One step of a guide; it stays shut until the one before is done. */
class Step {
  constructor(title) {
    this.body = h("div", { class: "deal-body" });
    this.mark = h("span", { class: "deal-mark" });
    this.element = h("li", { class: "card deal-step", dataset: { state: "waiting" } }, this.mark,
      h("div", { class: "deal-words" }, h("h3", {}, title), this.body));
  }

  /** Show what is to be done now. */
  show(...children) {
    this.element.dataset.state = "now";
    set(this.mark);
    set(this.body, children);
  }

  /** It is done, and this is what came of it. */
  done(...children) {
    this.element.dataset.state = "done";
    set(this.mark, shape("valid", 28));
    set(this.body, children);
  }

  /** It was refused. */
  fail(error, ...children) {
    set(this.mark, shape("failed", 28));
    set(this.body, problemBox(error), children);
  }
}

function issuing(scenario, scene) {
  const steps = ["document", "consent", "hand"].map((name) => new Step(t(`deal.issue.${name}`)));
  const [first, second, third] = steps;
  const ask = () => first.show(chooser(t("deal.issue.document.drop"), t("deal.issue.document.hint"), take));
  const take = async (files) => {
    first.show(h("p", {}, t("deal.reading")));
    try {
      const found = await readFiles(files, scene.signal);
      await attestIfNeeded(scenario, scene, found, first, (attested) => consenting(scenario, scene, { ...found, ...attested }, second, third));
    } catch (error) {
      first.fail(error, again(ask));
    }
  };
  ask();
  return steps.map((step) => step.element);
}

const again = (go) => h("button", { type: "button", class: "button", onclick: go }, t("deal.again"));

/** Find the document's attestation in our ledger, or offer to make one. */
async function attestIfNeeded(scenario, scene, found, step, next) {
  const { app, own, signal } = scene;
  if (!found.digests) throw Object.assign(new Error(""), { status: 0, code: "no-document", hint: "" });
  const body = { digests: found.digests, expect_issuer: own.id };
  if (found.proof) body.proof = found.proof;
  const verdict = await app.api.post("/v1/verifications", body, { signal });
  const known = verdict.attestations.find((one) => one.origin === own.origin && scenario.kinds.includes(one.kind)
    && !["revoked", "superseded", "expired", "mismatch", "untrusted"].includes(one.verdict));
  if (known) {
    const proof = found.proof ?? await app.api.text(`/v1/proofs/${encodeURIComponent(own.id)}/${known.index}`, { signal });
    step.done(attested(found.file, own.origin, known.index));
    next({ index: known.index, proof });
    return;
  }
  const kind = choice(t("deal.kind"), scenario.kinds.map((one) => [one, kindName(one)]));
  const key = crypto.randomUUID();
  const go = async () => {
    step.show(h("p", {}, t("deal.recording")));
    try {
      const made = await app.api.post("/v1/attestations", { digests: found.digests, kind: kind.select.value, wait: 20 },
        { signal, headers: { "Idempotency-Key": key } });
      const proof = made.proof ?? await app.api.text(`/v1/proofs/${encodeURIComponent(own.id)}/${made.index}`, { signal });
      step.done(attested(found.file, own.origin, made.index));
      next({ index: made.index, proof });
    } catch (error) {
      step.fail(error, again(go));
    }
  };
  step.show(h("p", {}, t("deal.issue.document.new", { name: found.file.name })), kind.field,
    h("button", { type: "button", class: "button main", onclick: go }, t("deal.issue.document.attest")));
}

const attested = (file, origin, index) => h("p", {}, h("bdi", {}, file.name), " ", h("span", { class: "code small" }, `${origin}#${index}`));

/** For whom, for what, until when. */
function consenting(scenario, scene, found, step, last) {
  const { app, own, members, signal } = scene;
  const all = members.filter((one) => scenario.receiving.includes(one.id));
  const others = all.filter((one) => one.institution !== own.institution);
  const receivers = others.length > 0 ? others : all;
  const receiver = choice(t("deal.receiver"), receivers.map((one) => [one.id, one.institution]));
  const purpose = choice(t("deal.purpose"), scenario.purposes.map((one) => [one, purposeName(one)]));
  const latest = scenario.validity === null ? null : new Date(Date.now() + scenario.validity * 1000 - DAY);
  const until = h("input", { type: "date", id: uid("until"), required: true, min: day(new Date()), max: latest && day(latest),
    value: day(latest ?? new Date(Date.now() + 30 * DAY)) });
  const key = crypto.randomUUID();
  const form = h("form", { class: "deal-form", onsubmit: (event) => { event.preventDefault(); go(); } },
    h("p", {}, t("deal.issue.consent.lead")), receiver.field, purpose.field,
    h("div", { class: "field" }, h("label", { for: until.id }, t("deal.until")), until,
      scenario.validity !== null && h("p", { class: "hint" }, t("deal.until.hint", { days: number(Math.floor(scenario.validity / 86_400)) }))),
    h("p", { class: "small muted" }, t("deal.issue.consent.private")),
    h("button", { type: "submit", class: "button main" }, t("deal.issue.consent.record")));
  const go = async () => {
    const body = {
      index: found.index, receiver: receiver.select.value, purpose: purpose.select.value, scenario: scenario.name,
      valid_until: new Date(`${until.value}T23:59:59.999`).toISOString(), proof: found.proof, wait: 20,
    };
    const send = () => app.api.post("/v1/consents", body, { signal, headers: { "Idempotency-Key": key } });
    step.show(h("p", {}, t("deal.recording")));
    try {
      const made = await send();
      const name = receivers.find((one) => one.origin === made.receiver)?.institution ?? made.receiver;
      step.done(h("p", {}, t("deal.issue.consent.done", { receiver: name, purpose: purposeName(made.purpose), when: moment(made.valid_until) })));
      handing(found.file, made, last, send);
    } catch (error) {
      step.fail(error, form);
    }
  };
  step.show(form);
}

/** Files that the customer takes along. */
function handing(file, made, step, send) {
  const own = `${file.name}.consent-${made.index}.tlog-proof`;
  step.show(h("p", {}, t("deal.issue.hand.lead")), !made.proof
    ? fetching(send, (later) => handing(file, later, step, send))
    : h("button", { type: "button", class: "button main", onclick: () => save(made.document_proof ?? made.proof, made.document_proof ? `${file.name}.tlog-proof` : own) }, t("deal.issue.hand.save")));
  announce(t("deal.issue.hand"));
}

/** It is recorded, and not signed yet: the same request again has the proof, and nobody else does. */
function fetching(send, next) {
  const place = h("div", {});
  const go = async () => {
    set(place, h("p", {}, t("deal.recording")));
    try {
      next(await send());
    } catch (error) {
      set(place, problemBox(error), button());
    }
  };
  const button = () => h("button", { type: "button", class: "button main", onclick: go }, t("deal.hand.fetch"));
  set(place, h("p", {}, t("deal.hand.later")), button());
  return place;
}

function receiving(scenario, scene) {
  const steps = ["document", "use", "hand"].map((name) => new Step(t(`deal.receive.${name}`)));
  const [first, second, third] = steps;
  const ask = () => first.show(chooser(t("deal.receive.document.drop"), t("deal.receive.document.hint"), take));
  const take = async (files) => {
    first.show(h("p", {}, t("deal.reading")));
    try {
      const found = await readFiles(files, scene.signal);
      if (!found.digests) throw Object.assign(new Error(""), { status: 0, code: "no-document", hint: "" });
      first.done(h("p", {}, h("bdi", {}, found.file.name)), !found.proof && h("p", { class: "small" }, t("deal.receive.document.bare")));
      using(scenario, scene, found, second, third, ask);
    } catch (error) {
      first.fail(error, again(ask));
    }
  };
  ask();
  return steps.map((step) => step.element);
}

/** Verify for a purpose, and record that. */
function using(scenario, scene, found, step, last, restart) {
  const { app, signal } = scene;
  const purpose = choice(t("deal.purpose"), scenario.purposes.map((one) => [one, purposeName(one)]));
  const key = crypto.randomUUID();
  const form = h("form", { class: "deal-form", onsubmit: (event) => { event.preventDefault(); go(); } },
    h("p", {}, t(scenario.consent ? "deal.receive.use.lead" : "deal.receive.use.free")), purpose.field,
    h("button", { type: "submit", class: "button main" }, t("deal.receive.use.record")));
  const go = async () => {
    const body = { digests: found.digests, purpose: purpose.select.value, scenario: scenario.name, consents: found.records, wait: 20 };
    if (found.proof) body.proof = found.proof;
    const send = () => app.api.post("/v1/uses", body, { signal, headers: { "Idempotency-Key": `${key}-${body.purpose}` } });
    step.show(h("p", {}, t("deal.recording")));
    try {
      const made = await send();
      step.done(h("p", {}, t("deal.receive.use.done", { purpose: purposeName(made.purpose), entry: `${made.origin}#${made.index}` })));
      handingBack(found.file, made, last, send);
    } catch (error) {
      step.fail(error, [form, again(restart)]);
    }
  };
  step.show(form);
}

/** What shows the use, for the customer and the issuer. */
function handingBack(file, made, step, send) {
  step.show(h("p", {}, t("deal.receive.hand.lead")), made.proof
    ? h("div", { class: "deal-saves" },
      made.document_proof && h("button", { type: "button", class: "button main", onclick: () => save(made.document_proof, `${file.name}.tlog-proof`) }, t("deal.receive.hand.customer")),
      h("button", { type: "button", class: "button", onclick: () => save(made.proof, `${file.name}.use-${made.index}.tlog-proof`) }, t("deal.receive.hand.issuer")))
    : fetching(send, (later) => handingBack(file, later, step, send)));
  announce(t("deal.receive.hand"));
}

/** A day as a date input has it, by the reader's clock. */
function day(date) {
  const two = (value) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
