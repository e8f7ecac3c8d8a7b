"use strict";
/* The list of problems: filters, sorting, and how the samples of each came out. */
viewer.list = (() => {
  const { h, whole, percent, data, address, sources } = viewer;
  const PAGE = 50;

  const rateOf = (one, source) => one.tallies.get(source?.place)?.rate ?? null;
  const isRight = (rate) => (rate > 0.5 ? 1 : rate < 0.5 ? -1 : 0);

  /* 1: wrong with the other and right with the first, −1: the reverse; 0: neither, a tie included. */
  function flip(one, source, other) {
    const [here, there] = [rateOf(one, source), rateOf(one, other)];
    if (here === null || there === null || isRight(here) * isRight(there) !== -1) return 0;
    return isRight(here);
  }

  const OUTCOMES = {
    right: ["all right", (tally) => tally.graded > 0 && tally.right === tally.graded],
    partly: ["partly right", (tally) => tally.right > 0 && tally.right < tally.graded],
    wrong: ["all wrong", (tally) => tally.graded > 0 && tally.right === 0],
    truncated: ["some truncated", (tally) => tally.cut > 0],
    none: ["some without answer", (tally) => tally.none > 0],
    ungraded: ["some ungraded", (tally) => tally.ungraded > 0],
    corrected: ["some self-corrected", (tally) => tally.corrected > 0],
  };
  const FLIPS = { flipped: "flipped", gained: "flipped: right here", lost: "flipped: wrong here" };

  const SORTS = {
    rate: (one, state) => rateOf(one, state.source),
    other: (one, state) => rateOf(one, state.other),
    change: (one, state) => change(one, state),
    truncated: (one, state) => one.tallies.get(state.source.place).cut,
    none: (one, state) => one.tallies.get(state.source.place).none,
    ungraded: (one, state) => one.tallies.get(state.source.place).ungraded,
    tokens: (one, state) => one.tallies.get(state.source.place).tokens,
  };
  function change(one, { source, other }) {
    const [here, there] = [rateOf(one, source), rateOf(one, other)];
    return here === null || there === null ? null : here - there;
  }

  /* What the address asks for; what it does not know is as at first. */
  function stateOf(query) {
    const source = address.sourceNamed(query.get("source")) ?? sources.first(0) ?? data.header.sources[0];
    const named = query.get("with");
    const other = named === "none" ? null : (address.sourceNamed(named) ?? sources.other(source));
    const get = (name) => query.get(name) ?? "";
    const outcome = Object.hasOwn(other ? { ...OUTCOMES, ...FLIPS } : OUTCOMES, get("outcome")) ? get("outcome") : "";
    return {
      source, other, outcome, benchmark: get("benchmark"), level: get("level"),
      subject: get("subject"), q: get("q"), sort: get("sort"), page: Math.max(1, parseInt(get("page"), 10) || 1),
    };
  }

  function addressOf(state) {
    const { source, other, page, ...rest } = state;
    const isFirst = source === (sources.first(0) ?? data.header.sources[0]);
    const isOther = other === sources.other(source);
    return address.list({
      source: isFirst ? "" : address.nameOf(source),
      with: isOther ? "" : other ? address.nameOf(other) : "none",
      ...rest, page: page > 1 ? page : "",
    });
  }

  /* The problems that the filters leave, in the order asked for. */
  function chosen(state) {
    const wanted = state.q.toLowerCase();
    const found = data.problems.filter((one) => {
      const tally = one.tallies.get(state.source.place);
      if (!tally) return false;
      if (state.benchmark && one.benchmark !== state.benchmark) return false;
      if (state.level && one.level !== state.level) return false;
      if (state.subject && one.subject !== state.subject) return false;
      if (Object.hasOwn(OUTCOMES, state.outcome) && !OUTCOMES[state.outcome][1](tally)) return false;
      if (Object.hasOwn(FLIPS, state.outcome)) {
        const way = flip(one, state.source, state.other);
        if (way === 0 || (state.outcome === "gained" && way < 0) || (state.outcome === "lost" && way > 0)) return false;
      }
      return !wanted || one.text.includes(wanted) || data.holds(one, wanted);
    });
    const key = state.sort.replace(/^-/, "");
    if (!Object.hasOwn(SORTS, key)) return found;
    const down = state.sort.startsWith("-");
    return found.map((one) => [SORTS[key](one, state), one]).sort(([a, x], [b, y]) => {
      if (a === null || b === null) return a === b ? x.number - y.number : a === null ? 1 : -1;
      return (down ? b - a : a - b) || x.number - y.number;
    }).map(([, one]) => one);
  }

  const values = (name) => [...new Set(data.problems.map((one) => one[name]).filter((value) => value !== null))]
    .sort(new Intl.Collator("en", { numeric: true }).compare);

  /* How samples came out, as one bar in parts; the words are beside it or in its title. */
  function stack(tally) {
    const wrong = tally.graded - tally.right;
    const plain = Math.max(0, wrong - tally.cut - tally.none);
    const parts = [["right", tally.right], ["wrong", plain], ["cut", tally.cut], ["none", tally.none], ["ungraded", tally.ungraded]];
    const box = h("span", { class: "stack", role: "img", "aria-label":
      parts.filter(([, count]) => count).map(([name, count]) => `${count} ${name}`).join(", ") });
    for (const [name, count] of parts) {
      if (!count) continue;
      const part = h("span", { class: name });
      part.style.flexGrow = count;
      box.append(part);
    }
    return box;
  }
  const rate = (tally) => (!tally ? h("span", { class: "soft" }, "–")
    : h("span", { class: "rate" }, stack(tally), h("span", { class: "digits" }, `${whole(tally.right)} of ${whole(tally.graded)}`)));

  function row(one, state) {
    const tally = one.tallies.get(state.source.place);
    const count = (value) => h("td", { class: value ? "number" : "number soft" }, whole(value));
    const moved = change(one, state);
    const flipped = flip(one, state.source, state.other);
    return h("tr", {},
      h("th", { scope: "row", class: "text problem" },
        h("a", { href: address.problem(one, state.source) }, one.id),
        data.benchmarks > 1 ? h("small", {}, ` ${one.benchmark}`) : null,
        h("small", { class: "question", dir: "auto" }, one.question)),
      h("td", {}, rate(tally)),
      state.other ? h("td", {}, rate(one.tallies.get(state.other.place))) : null,
      state.other ? h("td", { class: `number ${moved > 0 ? "good" : moved < 0 ? "bad" : "soft"}` },
        moved === null ? "–" : `${moved > 0 ? "+" : moved < 0 ? "−" : ""}${percent(Math.abs(moved))}`,
        flipped ? h("span", { class: "tag warn" }, "flipped") : null) : null,
      state.hasLevel ? h("td", {}, one.level ?? "–") : null,
      state.hasSubject ? h("td", {}, one.subject ?? "–") : null,
      count(tally.cut), count(tally.none), count(tally.ungraded),
      h("td", { class: "number" }, whole(tally.tokens)));
  }

  return { stateOf, addressOf, chosen, values, row, stack, rate, flip, OUTCOMES, FLIPS, PAGE };
})();
