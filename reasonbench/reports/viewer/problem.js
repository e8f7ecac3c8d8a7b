"use strict";
/* One problem: what was asked, what every pool and every version of the weights made of it, the solutions. */
viewer.problem = (() => {
  const { h, said, whole, data, list, address, sources, candidate } = viewer;
  const AT_ONCE = 25; // solutions
  const FILTERS = {
    "": ["all", () => true], right: ["right", (s) => s.as === "c" || s.as === "C"],
    corrected: ["self-corrected", (s) => s.as === "C"], wrong: ["wrong", (s) => s.as === "i"],
    truncated: ["truncated", (s) => s.finish === "length"], none: ["no answer", (s) => s.as === "n"],
    ungraded: ["ungraded", (s) => s.as === "u"],
  };
  let shown = null; // { one, source, unit, reward, filter, limit, … } of the page that stands

  const heading = (one) => h("h1", { tabindex: -1 }, one.id);

  function around(one, source) {
    const before = viewer.problems.before();
    const order = before?.order ?? data.problems;
    const place = order.indexOf(one);
    const link = (other, title) => (other ? h("a", { href: address.problem(other, other.tallies.has(source?.place) ? source : null) }, title)
      : h("span", { class: "soft" }, title));
    return h("nav", { class: "around", "aria-label": "Problems around" },
      h("a", { href: before?.hash ?? "#/problems" }, "↑ All problems"),
      link(place > 0 ? order[place - 1] : null, "← Previous"), link(place >= 0 ? order[place + 1] : null, "Next →"));
  }

  function about(one, record) {
    const tags = [one.benchmark, one.level === null ? null : `level ${one.level}`, one.subject, record.kind];
    const open = (title, text) => (text ? h("details", {}, h("summary", {}, title), said(text)) : null);
    return [
      h("p", { class: "tags" }, tags.filter(Boolean).map((tag) => [h("span", { class: "tag" }, tag), " "])),
      said(record.text),
      h("dl", { class: "facts" }, h("dt", {}, "Reference answer"),
        h("dd", {}, record.gold === null ? h("i", {}, "none: it is checked otherwise") : said(record.gold, [], { class: "said answer" }))),
      open("What is asked of the answer’s form", record.instruction), open("Data of the problem", record.data),
    ];
  }

  /* One line for each source: how its samples came out. The weights of a pool follow each other. */
  function board(one, source) {
    const own = data.header.sources.filter((other) => one.tallies.has(other.place));
    const several = data.header.runs.length > 1;
    const lines = own.map((other) => {
      const tally = one.tallies.get(other.place);
      const current = other === source;
      const alike = source && sources.versionsOf(source).includes(other);
      return h("tr", { class: current ? "current" : null },
        several ? h("td", {}, data.header.runs[other.run].name) : null,
        h("th", { scope: "row" }, h("a", { href: address.problem(one, other), "aria-current": current ? "true" : null },
          sources.label(other, one.benchmark)), h("small", {}, ` ${other.pool}`)),
        h("td", {}, list.rate(tally)),
        h("td", {}, alike && tally.letters.length <= 128 ? candidate.cells(one, other, tally, shown?.wanted) : ""),
        [tally.cut, tally.none, tally.ungraded, tally.corrected].map((count) => h("td", { class: count ? "number" : "number soft" }, whole(count))),
        h("td", { class: "number" }, whole(tally.tokens)));
    });
    const head = ["Samples of", "Right of graded", "Each sample", "Cut", "None", "Ungr.", "Self-corr.", "Tokens"];
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Samples of this problem" }, h("table", { id: "board" },
      h("thead", {}, h("tr", {}, (several ? ["Run", ...head] : head).map((title, place, all) =>
        h("th", { scope: "col", class: place > all.length - 6 ? "number" : null }, title)))),
      h("tbody", {}, lines)));
  }

  const rewardsOf = (unit) => [...new Set([...unit.samples.values()].flatMap((sample) => Object.keys(sample.scores ?? {})))];

  function cards() {
    const { one, source, unit, reward, filter, limit, sort, more } = shown;
    const all = [...unit.samples.values()].filter(FILTERS[filter][1]);
    const keys = { index: (s) => s.i, longest: (s) => -(s.tokens ?? 0), best: (s) => -(candidate.final(s, reward) ?? -Infinity) };
    all.sort((a, b) => keys[sort](a) - keys[sort](b) || a.i - b.i);
    shown.cards.replaceChildren(...all.slice(0, limit).map((sample) => candidate.card(one, source, sample, reward)));
    const rest = all.length - limit;
    shown.count.textContent = `${whole(all.length)} of ${whole(one.tallies.get(source.place).drawn)} samples${more ? ", not all loaded" : ""}`;
    shown.rest.replaceChildren(
      rest > 0 ? h("button", { type: "button", click: () => { shown.limit += 4 * AT_ONCE; cards(); } }, `Show ${whole(Math.min(rest, 4 * AT_ONCE))} more`) : "",
      more ? h("button", { type: "button", click: () => loadMore() }, "Load all of them") : "");
  }

  async function loadMore() {
    const { one, source } = shown;
    shown.more = await data.loadUnit(one, one.tallies.get(source.place));
    shown.controls.replaceChildren(controls());
    cards();
    tree();
  }

  function controls() {
    const { unit } = shown;
    const rewards = rewardsOf(unit);
    const counts = Object.entries(FILTERS).map(([key, [title, keep]]) => [key, title, [...unit.samples.values()].filter(keep).length]);
    const pick = (name) => (event) => { shown[name] = event.target.value; shown.limit = AT_ONCE; cards(); };
    return h("div", { class: "controls" },
      h("label", {}, "Samples that are", h("select", { id: "show", change: pick("filter") }, counts.map(([key, title, count]) =>
        h("option", { value: key, selected: key === shown.filter }, `${title} (${whole(count)})`)))),
      h("label", {}, "Order", h("select", { id: "order", change: pick("sort") },
        [["index", "as drawn"], ["best", "best score"], ["longest", "longest"]].map(([key, title]) => h("option", { value: key }, title)))),
      rewards.length > 1 ? h("label", {}, "Scores of", h("select", { id: "reward", change: pick("reward") },
        rewards.map((name) => h("option", { value: name, selected: name === shown.reward }, viewer.short(name, 60))))) : null,
      shown.count);
  }

  function tree() {
    const { one, source, unit, more } = shown;
    if (!unit.head?.search || more) return;
    shown.tree = viewer.tree.view(one, source, unit);
    shown.forest.replaceChildren(shown.tree.box);
  }

  function goTo(kind, which) {
    if (kind === "tree") {
      if (!which) shown.forest.scrollIntoView();
      else if (!shown.tree?.goTo(which)) shown.note.textContent = `The search has no step ${which}.`;
      return;
    }
    const sample = shown.unit.samples.get(Number(which));
    if (!sample) {
      shown.note.textContent = `There is no sample ${which} here.`;
      return;
    }
    let card = document.getElementById(`sample-${sample.i}`);
    if (!card) {
      Object.assign(shown, { filter: "", sort: "index", limit: Math.max(shown.limit, [...shown.unit.samples.keys()].filter((i) => i <= sample.i).length) });
      shown.controls.replaceChildren(controls());
      cards();
      card = document.getElementById(`sample-${sample.i}`);
    }
    card.open = true;
    card.scrollIntoView({ block: "start" });
    card.querySelector("summary").focus({ preventScroll: true });
  }

  /* Show a problem; kind and which are what the address names of it: a sample, a step of the search. */
  async function open(names, into) {
    const [benchmark, id, run, pool, version, kind, which] = names;
    const one = await data.find(benchmark, id);
    const token = (open.token = {});
    if (!one) {
      into.replaceChildren(h("h1", { tabindex: -1 }, "Not here"), h("p", {}, `There is no problem ${id} of ${benchmark} in these runs.`),
        h("p", {}, h("a", { href: "#/problems" }, "All problems")));
      return;
    }
    const before = viewer.problems.before()?.source;
    const asked = run === undefined ? null : address.sourceOf(run, pool, version);
    const first = [asked, before, sources.first(0), ...data.header.sources].find((source) => source && one.tallies.has(source.place)) ?? null;
    if (shown && shown.one === one && shown.source === first && into.contains(shown.cards)) {
      shown.wanted = kind === "sample" ? Number(which) : null;
      shown.board.replaceChildren(board(one, first));
      if (kind) goTo(kind, which);
      return;
    }
    document.title = `${one.id} · ${data.title}`;
    into.replaceChildren(around(one, first), heading(one), h("p", { class: "note" }, "Reading …"));
    const wanted = kind === "sample" ? Number(which) : null;
    const enough = (unit) => kind !== "tree" && (wanted === null ? unit.samples.size >= AT_ONCE : unit.samples.has(wanted));
    try {
      await data.load(`shard-${one.shard}`);
      const more = first ? await data.loadUnit(one, one.tallies.get(first.place), enough) : false;
      if (token !== open.token) return; // something else was asked for meanwhile
      page(one, first, into, { more, wanted });
      if (run !== undefined && !asked) shown.note.textContent = "The samples that the address names are not in these runs; these are others.";
      if (kind && first) goTo(kind, which);
    } catch (error) {
      into.append(h("p", { class: "warning", role: "alert" }, `${error.message}: was the folder moved without its data, or has the server ended?`));
    }
  }

  function page(one, source, into, { more, wanted }) {
    const unit = source ? data.unit(one.number, source.place) : null;
    shown = { one, source, unit, more, wanted, filter: "", sort: "index", limit: AT_ONCE, tree: null,
      reward: unit ? rewardsOf(unit).find((name) => [...unit.samples.values()].some((s) => s.scores?.[name]?.[1].length)) ?? rewardsOf(unit)[0] ?? null : null,
      cards: h("div", { class: "cards" }), rest: h("p", { class: "buttons" }), count: h("output", {}), controls: h("div", {}),
      board: h("div", {}), forest: h("div", {}), note: h("p", { class: "note", role: "status" }) };
    into.replaceChildren(around(one, source), heading(one), ...about(one, data.texts.get(one.number)).filter(Boolean));
    if (!source) {
      into.append(h("p", { class: "warning" }, "Nothing was drawn for this problem."));
      return;
    }
    shown.board.append(board(one, source));
    shown.controls.append(controls());
    into.append(h("h2", {}, "Samples"), shown.board, h("h3", { dir: "auto" }, sources.full(source, one.benchmark)), shown.note,
      unit.head?.prompt ? h("details", { class: "prompt" }, h("summary", {}, "Prompt, as the model read it"), said(unit.head.prompt)) : "",
      shown.controls, shown.cards, shown.rest, shown.forest);
    cards();
    tree();
  }

  return { open };
})();
