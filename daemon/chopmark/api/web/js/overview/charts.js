/** How much was done: bars over the last hour or the last day. */

import { h, s, set } from "../dom.js";
import { clock, number } from "../format.js";
import { t } from "../i18n/index.js";

const SERIES = ["recorded", "verified", "replicated"];
/** Minutes in a bar, and how many bars there are. */
const SPANS = { hour: { step: 1, bars: 60 }, day: { step: 15, bars: 96 } };
const [WIDTH, HEIGHT, FOOT, SIDE] = [460, 150, 20, 44];
let span = "hour";

export function charts(rates) {
  const figures = h("div", { class: "charts" });
  const buttons = Object.keys(SPANS).map((name) => h("button", {
    type: "button", class: "button small", "aria-pressed": String(name === span),
    onclick: (event) => {
      span = name;
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === event.currentTarget));
      draw();
    },
  }, t(`rates.${name}`)));
  const draw = () => set(figures, SERIES.map((name) => figure(name, rates)));
  draw();
  return h("section", { class: "card rates" },
    h("div", { class: "rates-head" }, h("h2", {}, t("rates.title")), h("div", { class: "rates-span", role: "group", "aria-label": t("rates.span") }, buttons)),
    figures);
}

function figure(name, rates) {
  const { step, bars } = SPANS[span];
  const values = gather(rates[name], step, bars);
  const sum = values.reduce((all, one) => all + (one ?? 0), 0);
  const most = Math.max(...values.map((one) => one ?? 0));
  const words = { sum: number(sum), most: number(most), minutes: number(step), count: step };
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("span", { class: "chart-name" }, t(`rates.${name}`)), h("strong", {}, number(sum))),
    bar(values, most, rates.until, step, `${t(`rates.${name}`)}: ${t("rates.picture", words)}`),
    h("p", { class: "small muted" }, most ? t("rates.peak", words) : t("rates.nothing")));
}

/** Sums of so many minutes each; null where there was no gateway to count. */
function gather(minutes, step, bars) {
  const padded = [...Array(Math.max(0, step * bars - minutes.length)).fill(null), ...minutes.slice(-step * bars)];
  return Array.from({ length: bars }, (_, at) => {
    const some = padded.slice(at * step, (at + 1) * step).filter((one) => one !== null);
    return some.length ? some.reduce((all, one) => all + one, 0) : null;
  });
}

function bar(values, most, until, step, label) {
  const top = nice(most);
  const width = (WIDTH - SIDE) / values.length;
  const y = (value) => HEIGHT - FOOT - (value / top) * (HEIGHT - FOOT - 12);
  const end = new Date(until).getTime();
  const begin = end - values.length * step * 60_000;
  return s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    [0, top / 2, top].map((value) => [
      s("path", { class: "chart-line", d: `M${SIDE} ${y(value)}H${WIDTH}` }),
      Number.isInteger(value) && s("text", { class: "chart-text", x: SIDE - 6, y: y(value) + 4, "text-anchor": "end" }, number(value, { notation: "compact" })),
    ]),
    values.map((value, at) => value
      ? s("rect", { class: "chart-bar", x: SIDE + at * width + 0.5, y: y(value), width: Math.max(1, width - 1), height: HEIGHT - FOOT - y(value) })
      : value === null && s("rect", { class: "chart-gap", x: SIDE + at * width, y: HEIGHT - FOOT - 3, width, height: 3 })),
    [begin, (begin + end) / 2, end].map((time, at) => s("text", {
      class: "chart-text", x: SIDE + ((WIDTH - SIDE) * at) / 2, y: HEIGHT - 4, "text-anchor": ["start", "middle", "end"][at],
    }, clock(time))));
}

/** The next round number, for the axis. */
function nice(value) {
  if (value <= 2) return 2;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((one) => one * power).find((one) => one >= value);
}
