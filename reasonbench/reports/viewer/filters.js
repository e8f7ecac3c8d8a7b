"use strict";
/* The page of the list: its controls, its table, and the lines of the run's table above it. */
viewer.problems = (() => {
  const { h, whole, percent, data, list, address, sources } = viewer;
  let view = null;
  let state = null;
  let before = null; // the list that was looked at last: problems go back to it, and on in its order
  let parts = {};

  function go(change, replace = true) {
    const next = list.addressOf({ ...state, page: 1, ...change });
    if (replace) {
      history.replaceState(null, "", next);
      state = { ...state, page: 1, ...change };
      draw();
    } else location.hash = next;
  }

  function select(name, title, options, value) {
    return h("label", {}, title, h("select", { "data-filter": name, change: (event) => go({ [name]: event.target.value }) },
      h("option", { value: "" }, "all"),
      Object.entries(options).map(([key, text]) => h("option", { value: key, selected: key === value }, viewer.short(String(text), 60)))));
  }

  function chooser(name, title, chosen, none) {
    const pick = (event) => {
      const source = data.header.sources[event.target.value] ?? null;
      const outcome = state.outcome in list.FLIPS && name === "other" && !source ? { outcome: "" } : {};
      go(name === "source" ? { source, other: state.other === null ? null : sources.other(source) ?? state.other } : { other: source, ...outcome });
      controls();
    };
    return h("label", { class: "wide" }, title, h("select", { "data-filter": name, change: pick },
      none ? h("option", { value: "", selected: chosen === null }, none) : null, sources.options(chosen)));
  }

  /* The filters; made anew where what can be chosen has changed. */
  function controls() {
    const { header } = data;
    const names = (values) => Object.fromEntries(values.map((value) => [value, value]));
    const outcomes = Object.fromEntries(Object.entries(list.OUTCOMES).map(([key, [text]]) => [key, text]));
    if (state.other) Object.assign(outcomes, list.FLIPS);
    const [benchmarks, levels, subjects] = ["benchmark", "level", "subject"].map(list.values);
    const search = h("input", { type: "search", size: 18, placeholder: "id, question, answer …", value: state.q,
      "data-filter": "q", input: (event) => go({ q: event.target.value }) });
    const focused = document.activeElement?.dataset?.filter;
    parts.controls.replaceChildren(
      header.sources.length > 1 ? chooser("source", "Samples of", state.source) : "",
      header.sources.length > 1 ? chooser("other", "Compared with", state.other, "nothing") : "",
      select("outcome", "Samples are", outcomes, state.outcome),
      benchmarks.length > 1 ? select("benchmark", "Benchmark", names(benchmarks), state.benchmark) : "",
      levels.length > 1 ? select("level", "Level", names(levels), state.level) : "",
      subjects.length > 1 ? select("subject", "Subject", names(subjects), state.subject) : "",
      h("label", {}, "Search", search), parts.count);
    if (focused) parts.controls.querySelector(`[data-filter="${focused}"]`)?.focus();
  }

  function head() {
    const columns = [["Problem"], ["Right of graded", "rate"],
      ...(state.other ? [["Compared with", "other"], ["Change", "change", "of the share that is right, in points"]] : []),
      ...(state.hasLevel ? [["Level"]] : []), ...(state.hasSubject ? [["Subject"]] : []),
      ["Cut", "truncated", "samples that the token limit cut"], ["None", "none", "samples without an answer"],
      ["Ungr.", "ungraded", "samples without a verdict"], ["Tokens", "tokens", "mean of a completion"]];
    return h("tr", {}, columns.map(([title, key, what]) => {
      const down = state.sort === `-${key}`;
      const sorted = key && state.sort.replace(/^-/, "") === key;
      const cell = h("th", { scope: "col", title: what, class: key && key !== "rate" && key !== "other" ? "number" : null,
        "aria-sort": sorted ? (down ? "descending" : "ascending") : null });
      cell.append(key ? h("button", { type: "button", class: "sort", click: () => {
        go({ sort: sorted && down ? key : sorted ? "" : `-${key}` });
        parts.table.querySelector(`[aria-sort] .sort`)?.focus();
      } }, title) : title);
      return cell;
    }));
  }

  /* What results.json says of the strategies that draw from a source. */
  function factsOf(source, most) {
    const rows = sources.rowsOf(source).filter((row) => !state.benchmark || row.benchmark === state.benchmark);
    const where = state.other && sources.whose(source) ? `${sources.whose(source)}: ` : "";
    const line = (row) => {
      const [low, high] = row.interval;
      return h("li", {}, h("span", { class: "soft" }, where), h("b", {}, row.strategy), ` ${row.metric} `, h("b", {}, `${percent(row.accuracy)} %`),
        low === null ? "" : ` [${percent(low)}, ${percent(high)}]`, h("span", { class: "soft" },
          ` ${row.benchmark}; cut ${percent(row.truncated)} %, no answer ${percent(row.no_answer)} %, ungraded ${percent(row.ungraded)} %`));
    };
    // the first strategy of every benchmark, then the second ones
    const rank = (row) => rows.filter((other) => other.benchmark === row.benchmark).indexOf(row);
    const few = rows.map((row) => [rank(row), row]).sort(([a], [b]) => a - b).slice(0, most).map(([, row]) => line(row));
    return few.length ? few : [h("li", { class: "soft" }, `${where}There is no table for these samples yet.`)];
  }

  function facts() {
    const both = state.other ? [factsOf(state.source, 2), factsOf(state.other, 2)] : [factsOf(state.source, 3)];
    return h("div", { class: "facts" }, h("ul", {}, both), h("p", { class: "note" },
      "Accuracy with its 95 % interval, from the run’s table. ", h("a", { href: "#/runs" }, "The whole table"),
      state.other && state.other.run !== state.source.run ? ". Whether a difference is more than chance says reasonbench compare." : ""));
  }

  function pager(count) {
    const pages = Math.max(1, Math.ceil(count / list.PAGE));
    const step = (title, page) => h("button", { type: "button", disabled: page < 1 || page > pages, click: () => {
      go({ page }, false);
    } }, title);
    return pages === 1 ? "" : h("nav", { class: "pager", "aria-label": "Pages" },
      step("← Previous", state.page - 1), h("span", {}, `page ${state.page} of ${whole(pages)}`), step("Next →", state.page + 1));
  }

  function draw() {
    const { complete, failed } = data.state();
    data.benchmarks = list.values("benchmark").length;
    state.hasLevel = data.problems.some((one) => one.level !== null);
    state.hasSubject = data.problems.some((one) => one.subject !== null);
    const found = list.chosen(state);
    before = { hash: list.addressOf(state), order: found, source: state.source };
    const pages = Math.max(1, Math.ceil(found.length / list.PAGE));
    state.page = Math.min(state.page, pages);
    const shown = found.slice((state.page - 1) * list.PAGE, state.page * list.PAGE);
    parts.count.textContent = `${whole(found.length)} of ${whole(data.header.problems)} problems`
      + (complete || failed ? "" : ", reading on …");
    parts.facts.replaceChildren(facts());
    parts.table.replaceChildren(h("thead", {}, head()), h("tbody", {}, shown.map((one) => list.row(one, state))));
    parts.empty.hidden = found.length > 0;
    parts.empty.textContent = complete ? "No problem is like this." : "None yet.";
    parts.failed.hidden = failed === null;
    parts.failed.textContent = failed === null ? "" : `The list of problems is not whole: ${failed}.`;
    parts.pager.replaceChildren(pager(found.length));
  }

  function open(query, into) {
    view = into;
    state = list.stateOf(query);
    parts = {
      controls: h("div", { class: "controls" }), count: h("output", { "aria-live": "polite" }), facts: h("div", {}),
      table: h("table", { id: "problems" }), empty: h("p", { class: "note" }), pager: h("div", {}),
      failed: h("p", { class: "warning", role: "alert" }),
    };
    view.replaceChildren(h("h1", { tabindex: -1 }, data.title), parts.facts, parts.failed, parts.controls,
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Problems" }, parts.table), parts.empty, parts.pager,
      h("p", { class: "note legend" }, "Bars: ", ["right", "wrong", "cut", "none", "ungraded"].map((name) =>
        [h("span", { class: `key ${name}`, "aria-hidden": "true" }), ` ${({ cut: "cut by the token limit", none: "no answer" })[name] ?? name} `]),
      ". Cut ones and those without an answer count as wrong; ungraded ones do not count."));
    draw();
    controls();
  }

  /* More of the list is there. */
  function listed() {
    if (view?.querySelector("#problems")) { draw(); controls(); }
  }

  return { open, listed, before: () => before };
})();
