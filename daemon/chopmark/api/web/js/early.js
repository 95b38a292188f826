// Runs before the first pixel, so that nobody sees the other theme flash by.
(() => {
  const read = (name) => {
    try { return localStorage.getItem(name); } catch { return null; }
  };
  const chosen = read("chopmark.theme");
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  const lang = read("chopmark.lang");
  if (lang) document.documentElement.lang = lang;
})();
