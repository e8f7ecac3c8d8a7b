"use strict";
/* Which view an address names, and the tables of the runs. */
(() => {
  const { h, percent, whole, data, address, sources } = viewer;
  const into = document.getElementById("view");

  function runs() {
    const tables = data.header.runs.map((run, place) => {
      const steps = new Set(run.rows.map((row) => row.step)).size > 1;
      const line = (row) => {
        const source = data.header.sources.find((one) => one.run === place && one.version === row.weight_version
          && (one.strategies[row.benchmark] ?? []).includes(row.strategy));
        const [low, high] = row.interval;
        return h("tr", {}, h("td", {}, row.benchmark),
          h("th", { scope: "row" }, source ? h("a", { href: address.list({ source: address.nameOf(source), benchmark: row.benchmark }) }, row.strategy) : row.strategy),
          h("td", {}, row.metric), steps ? h("td", { class: "number" }, whole(row.step)) : null,
          h("td", { class: "number" }, percent(row.accuracy)),
          h("td", { class: "number" }, low === null ? "–" : `${percent(low)} – ${percent(high)}`),
          [row.truncated, row.no_answer, row.ungraded].map((share) => h("td", { class: "number" }, percent(share))),
          h("td", { class: "number" }, whole(row.problems)), h("td", { class: "number" }, whole(row.decode_tokens)));
      };
      const head = ["Benchmark", "Strategy", "Metric", ...(steps ? ["Step"] : []), "Accuracy (%)", "95 % interval", "Cut (%)", "None (%)",
        "Ungr. (%)", "Problems", "Tokens"];
      return [h("h2", {}, run.name),
        h("p", { class: "note" }, [run.model, run.created, run.complete === false ? "not complete" : null].filter(Boolean).join(", ")),
        run.rows.length ? h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Table of ${run.name}` }, h("table", {},
          h("thead", {}, h("tr", {}, head.map((title, at) => h("th", { scope: "col", class: at > 2 ? "number" : null }, title)))),
          h("tbody", {}, run.rows.map(line)))) : h("p", {}, "There is no table yet: results.json is written when the run ends.")];
    });
    document.title = `Runs · ${data.title}`;
    into.replaceChildren(h("h1", { tabindex: -1 }, "Runs"), h("p", { class: "note" },
      "What results.json says; a strategy leads to the problems as its samples show them."), ...tables.flat());
  }

  async function route(moved) {
    if (location.hash && !location.hash.startsWith("#/")) return; // a place on this page
    const { names: [view, ...names], query } = address.read();
    for (const link of document.querySelectorAll(".bar nav a")) {
      if (link.hash === `#/${view || "problems"}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (view === "problem" && names.length >= 2) await viewer.problem.open(names, into);
    else if (view === "runs") runs();
    else {
      document.title = data.title;
      viewer.problems.open(query, into);
    }
    if (moved && !(view === "problem" && names.length > 5)) {
      window.scrollTo(0, 0);
      into.querySelector("h1")?.focus({ preventScroll: true });
    }
    document.documentElement.dataset.view = `${view || "problems"}`;
  }

  data.whenListed(viewer.problems.listed);
  window.addEventListener("hashchange", () => route(true));
  const list = data.loadList();
  route(false);
  list.then(() => { if (!data.header.chunks) viewer.problems.listed(); });
})();
