"use strict";
/* A search as the tree it was. A path without branches is one list; where it branches, it can be closed. */
viewer.tree = (() => {
  const { h, said, whole, digits, bar, address } = viewer;
  const OPEN = 120; // nodes that are open at first
  const MOST = 2000; // that are opened at once

  const ROLL_OUT = -2;
  const name = (path) => path.join(".");

  function above(path) {
    if (!path.length) return null;
    return path.length > 1 && path.at(-2) === ROLL_OUT ? path.slice(0, -2) : path.slice(0, -1);
  }
  const isRollOut = (path) => path.at(-2) === ROLL_OUT;

  /* Nodes linked to those below them; returns the roots. */
  function linked(nodes) {
    const found = new Map();
    for (const node of nodes) found.set(name(node.path), { ...node, below: [], rolled: [], leads: node.sample !== undefined });
    const roots = [];
    for (const node of found.values()) {
      const up = node.root ? null : above(node.path);
      const parent = up === null ? null : found.get(name(up));
      if (!parent) roots.push(node);
      else (isRollOut(node.path) ? parent.rolled : parent.below).push(node);
      node.parent = parent ?? null;
    }
    for (const node of found.values()) {
      if (node.leads) for (let at = node.parent; at && !at.leads; at = at.parent) at.leads = true;
    }
    return { roots, found };
  }

  function line(node, ways) {
    const path = name(node.path);
    const why = [node.dropped, node.error].filter(Boolean).join(": ");
    const link = h("a", { class: "path", href: address.problem(ways.one, ways.source, "tree", path || "root"), title: "address of this step" },
      node.root ? (path ? `attempt ${path}` : "start") : String(node.path.at(-1)));
    const made = h("div", { class: `node${why ? " dropped" : ""}${node.leads ? " leads" : ""}`, id: `node-${path || "root"}` },
      h("div", { class: "said-of" }, link,
        node.score === undefined ? null : bar(node.score, "score of the path up to here"),
        node.visits === undefined ? null : h("span", { class: "visits", title: "visits × mean value" },
          `${whole(node.visits)} × ${node.value === undefined ? "–" : digits(node.value)}`),
        node.sample === undefined ? null : h("a", { class: "tag", href: address.problem(ways.one, ways.source, "sample", node.sample) },
          `sample ${node.sample}: `, viewer.candidate.verdict(ways.letters[node.sample] ?? ".")),
        why ? h("span", { class: "tag warn" }, `dropped: ${why}`) : node.end ? h("span", { class: "tag" }, `ended: ${node.end}`) : null,
        isRollOut(node.path) ? h("span", { class: "tag" }, "roll-out") : null),
      node.text ? said(node.text.replace(/\n+$/, ""), node.marks ?? []) : null);
    if (node.rolled.length) {
      made.append(h("details", { class: "rolled" }, h("summary", {}, `${node.rolled.length} roll-out${node.rolled.length > 1 ? "s" : ""}`),
        node.rolled.map((start) => chain(start, ways))));
    }
    return made;
  }

  /* A node and what follows it, up to where the path branches; the branches in a box to open. */
  function chain(start, ways) {
    const list = h("ul", { class: "chain" });
    let node = start;
    for (;;) {
      list.append(h("li", {}, line(node, ways)));
      if (node.below.length !== 1) break;
      node = node.below[0];
    }
    if (node.below.length) list.append(h("li", {}, branches(node, ways)));
    return list;
  }

  function branches(node, ways) {
    const kept = node.below.filter((one) => !one.dropped).length;
    const made = h("details", { class: "branches", toggle: () => fill(made) },
      h("summary", {}, `${node.below.length} branches`, node.below.length - kept ? `, ${node.below.length - kept} dropped` : ""));
    made.node = node;
    made.ways = ways;
    return made;
  }

  /* Make what is in an open box; returns what is new. */
  function fill(made) {
    if (!made.open || made.childNodes.length > 1) return [];
    const lists = made.node.below.map((one) => chain(one, made.ways));
    made.append(...lists);
    return lists;
  }
  function open(made) {
    made.open = true;
    return fill(made);
  }

  /* Open from the top while there is room for so many nodes. */
  function openSome(box, most, only = () => true) {
    let room = most;
    const waiting = new Set(box.querySelectorAll("details.branches"));
    for (const made of waiting) { // what is added while going through it is gone through too
      if (room <= 0) return;
      if (!only(made.node)) continue;
      const lists = open(made);
      room -= made.node.below.length;
      for (const list of lists) for (const inside of list.querySelectorAll("details.branches")) waiting.add(inside);
    }
  }

  /* Open what hides a node, and go to it. */
  function goTo(box, tree, path) {
    const node = tree.found.get(path === "root" ? "" : path);
    if (!node) return false;
    const ups = [];
    for (let at = node; at; at = at.parent) ups.unshift(at);
    for (const up of ups) {
      for (const made of box.querySelectorAll("details.branches")) if (made.node === up) open(made);
    }
    const element = document.getElementById(`node-${path}`);
    element?.closest("details.rolled")?.setAttribute("open", "");
    for (const old of box.querySelectorAll(".node.current")) old.classList.remove("current");
    element?.classList.add("current");
    element?.scrollIntoView({ block: "center" });
    element?.querySelector("a.path")?.focus({ preventScroll: true });
    return element !== null;
  }

  /* The tree of a problem and a source, all of whose nodes are loaded. */
  function view(one, source, unit) {
    const tree = linked(unit.nodes.values());
    const ways = { one, source, letters: one.tallies.get(source.place).letters };
    const forest = h("div", { class: "forest", role: "region", "aria-label": "Search tree", tabindex: 0 }, tree.roots.map((root) => chain(root, ways)));
    const dropped = [...tree.found.values()].filter((node) => node.dropped).length;
    const close = () => forest.querySelectorAll("details.branches[open]").forEach((made) => { made.open = false; });
    const button = (title, act) => h("button", { type: "button", click: act }, title);
    const box = h("section", { class: "search", id: "tree" }, h("h2", {}, "Search"),
      h("p", { class: "note" }, `${unit.head.search.state}. ${whole(tree.found.size)} nodes, ${whole(dropped)} dropped. `,
        "Numbers: the score of the path up to a step; of tree search, visits × mean value."),
      h("p", { class: "buttons" }, button(tree.found.size > MOST ? `Open ${whole(MOST)} steps` : "Open all", () => openSome(forest, MOST)), button("Close all", close),
        button("Only what leads to solutions", () => { close(); openSome(forest, MOST, (node) => node.leads); })),
      forest);
    openSome(forest, OPEN);
    return { box, goTo: (path) => goTo(forest, tree, path) };
  }

  return { view, linked };
})();
