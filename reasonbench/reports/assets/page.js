"use strict";
/* What every page can do: colours, tables that sort and filter, links that remember it, charts.
 *
 * A table with an id and the class "sortable" gets buttons in every <th data-key="name">; with
 * data-type="number" it sorts by numbers (the greatest first, or with data-first="up" the least), of cells'
 * data-value where they have one; what has no number is last.
 * <th data-filter> gets a choice of that column's texts, data-search on the table a field for any text.
 * The address keeps it: #place?TABLE.sort=-key&TABLE.KEY=value&TABLE.q=text
 */
const reasonbench = (() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const tables = new Map();
  const make = (tag, properties = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...inside);
    return made;
  };
  const data = (id) => {
    const found = document.getElementById(id);
    return found === null ? null : JSON.parse(found.textContent);
  };

  // ---- colours
  const themes = ["auto", "light", "dark"];
  const wished = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (wished.matches ? "dark" : "light")) === "dark";
  const remembered = {
    // a page of a file may have no storage
    get: () => { try { return localStorage.getItem("reasonbench-theme"); } catch { return null; } },
    set: (name) => { try { localStorage.setItem("reasonbench-theme", name); } catch { /* none */ } },
  };
  function paint(name) {
    if (name === "auto") delete root.dataset.theme; else root.dataset.theme = name;
    const button = document.getElementById("theme");
    if (button) {
      button.querySelector("span").textContent = name;
      button.setAttribute("aria-label", `Colours of the page: ${name}`);
    }
  }
  let theme = themes.includes(remembered.get()) ? remembered.get() : "auto";
  paint(theme);
  document.getElementById("theme")?.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    remembered.set(theme);
    const before = charts.dark;
    paint(theme);
    if (before !== isDark()) draw();
  });
  wished.addEventListener("change", () => draw());

  // ---- the address
  function address() {
    const [place, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
    return { place, state: query ? new URLSearchParams(query) : null };
  }
  function remember(id) {
    const state = new URLSearchParams();
    for (const [name, table] of tables) {
      if (table.sorted) state.set(`${name}.sort`, (table.down ? "-" : "") + table.sorted);
      for (const [key, select] of table.filters) if (select.value) state.set(`${name}.${key}`, select.value);
      if (table.query?.value) state.set(`${name}.q`, table.query.value);
    }
    const query = state.toString();
    history.replaceState(null, "", `#${id || address().place}${query ? `?${query}` : ""}`);
  }
  function recall(scroll) {
    const { place, state } = address();
    if (state) for (const table of tables.values()) table.restore(state);
    if (state && scroll && place) document.getElementById(place)?.scrollIntoView();
  }
  window.addEventListener("hashchange", () => recall(true));

  // ---- tables
  class Table {
    constructor(element) {
      this.element = element;
      this.id = element.id;
      this.body = element.tBodies[0];
      this.rows = [...this.body.rows];
      this.heads = [...element.tHead.rows[element.tHead.rows.length - 1].cells];
      this.sorted = null;
      this.down = false;
      this.filters = new Map();
      this.heads.forEach((head) => { if (head.dataset.key) this.addSort(head); });
      this.addControls();
    }
    addSort(head) {
      const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
      button.addEventListener("click", () => {
        const again = this.sorted === head.dataset.key;
        const down = head.dataset.type === "number" && head.dataset.first !== "up";
        this.sort(head.dataset.key, again ? !this.down : down);
        remember(this.id);
      });
      head.append(button);
    }
    addControls() {
      const box = make("div", { className: "controls" });
      this.heads.forEach((head, column) => {
        if (!("filter" in head.dataset)) return;
        const texts = [...new Set(this.rows.map((row) => this.text(row, column)))].filter(Boolean);
        if (texts.length < 2) return;
        const collator = new Intl.Collator("en", { numeric: true });
        const select = make("select", {}, make("option", { value: "" }, "all"));
        for (const text of texts.sort(collator.compare)) {
          select.append(make("option", { value: text }, text.length > 60 ? text.slice(0, 59) + "…" : text));
        }
        select.addEventListener("change", () => this.changed());
        this.filters.set(head.dataset.key ?? String(column), select);
        select.column = column;
        box.append(make("label", {}, head.textContent.trim(), select));
      });
      if ("search" in this.element.dataset) {
        this.query = make("input", { type: "search", size: 16, placeholder: "any text" });
        this.query.addEventListener("input", () => this.changed());
        box.append(make("label", {}, "Search", this.query));
      }
      if (!box.childNodes.length) return;
      this.count = make("output", {});
      this.count.setAttribute("aria-live", "polite");
      box.append(this.count);
      (this.element.closest(".scroll") ?? this.element).before(box);
      this.filter();
    }
    text(row, column) {
      const cell = row.cells[column];
      return (cell?.dataset.filter ?? cell?.dataset.value ?? cell?.textContent ?? "").trim();
    }
    value(row, column, number) {
      const text = row.cells[column]?.dataset.value ?? row.cells[column]?.textContent.trim() ?? "";
      if (!number) return text;
      const parsed = text === "" ? NaN : Number(text.replaceAll(",", ""));
      return Number.isNaN(parsed) ? null : parsed;
    }
    sort(key, down) {
      const column = this.heads.findIndex((head) => head.dataset.key === key);
      if (column < 0) return;
      const number = this.heads[column].dataset.type === "number";
      const collator = new Intl.Collator("en", { numeric: true });
      const keyed = this.rows.map((row, place) => ({ row, place, value: this.value(row, column, number) }));
      keyed.sort((a, b) => {
        if (a.value === null || b.value === null) {
          // what has no number is last, whichever way
          return a.value === b.value ? a.place - b.place : a.value === null ? 1 : -1;
        }
        const order = number ? a.value - b.value : collator.compare(a.value, b.value);
        return (down ? -order : order) || a.place - b.place;
      });
      this.body.append(...keyed.map((one) => one.row));
      this.sorted = key;
      this.down = down;
      this.heads.forEach((head, index) => {
        if (index === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
    }
    filter() {
      const wanted = [...this.filters.values()].filter((select) => select.value);
      const query = this.query?.value.toLowerCase() ?? "";
      let shown = 0;
      for (const row of this.rows) {
        row.hidden = !(
          wanted.every((select) => this.text(row, select.column) === select.value) &&
          (!query || row.textContent.toLowerCase().includes(query))
        );
        shown += row.hidden ? 0 : 1;
      }
      if (this.count) {
        const all = this.rows.length;
        this.count.textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
      }
    }
    changed() {
      this.filter();
      remember(this.id);
    }
    restore(state) {
      for (const [key, select] of this.filters) {
        const wanted = state.get(`${this.id}.${key}`) ?? "";
        select.value = [...select.options].some((option) => option.value === wanted) ? wanted : "";
      }
      if (this.query) this.query.value = state.get(`${this.id}.q`) ?? "";
      if (this.count) this.filter();
      const sort = state.get(`${this.id}.sort`);
      if (sort) this.sort(sort.replace(/^-/, ""), sort.startsWith("-"));
      else if (this.sorted) this.unsort();
    }
    unsort() {
      this.body.append(...this.rows);
      this.sorted = null;
      this.heads.forEach((head) => head.removeAttribute("aria-sort"));
    }
  }
  function enhance(within = document) {
    for (const element of within.querySelectorAll("table.sortable[id]")) {
      if (!tables.has(element.id)) tables.set(element.id, new Table(element));
    }
  }

  // ---- charts
  const charts = { specs: {}, dark: null, views: new Map() };
  const merged = (under, over) => {
    if (over === null || typeof over !== "object" || Array.isArray(over)) return over;
    const found = { ...under };
    for (const [key, value] of Object.entries(over)) found[key] = merged(found[key] ?? {}, value);
    return found;
  };
  function fitted(spec, width) {
    // pictures beside each other go below each other where the page is narrow
    if ("facet" in spec || "concat" in spec) {
      const columns = Math.max(1, Math.min(spec.columns ?? 1, Math.floor(width / 300)));
      const each = Math.max(200, Math.floor(width / columns) - 80);
      const inside = (one) => ({ ...one, width: each });
      if (spec.facet) return { ...spec, columns, spec: inside(spec.spec) };
      return { ...spec, columns, concat: spec.concat.map(inside) };
    }
    const narrow = width < 480 ? { legend: { columns: 2, labelLimit: Math.max(60, width / 2 - 50) } } : {};
    const config = merged(spec.config ?? {}, narrow);
    // names of points are in their tips too: on a narrow page they would lie over one another
    const layer = width < 480 ? spec.layer?.filter((one) => one.name !== "labels") : spec.layer;
    return { ...spec, ...(layer ? { layer } : {}), config, padding: 4, width: "container", autosize: { type: "fit-x", contains: "padding" } };
  }
  /* The title as text of the page, which wraps, in place of one in the picture, which does not. */
  function titled(figure, plot, spec) {
    const { title, ...rest } = spec;
    if (title === undefined || "facet" in spec || "concat" in spec) return spec;
    figure.querySelector(".plot-title")?.remove();
    const said = typeof title === "object" ? title : { text: title };
    const lines = (text) => [text ?? []].flat().join(" ");
    const heading = make("div", { className: "plot-title" }, make("strong", {}, lines(said.text)));
    if (said.subtitle) heading.append(make("small", {}, lines(said.subtitle)));
    plot.before(heading);
    return rest;
  }
  async function drawOne(figure) {
    const name = figure.dataset.chart;
    const plot = figure.querySelector(".plot");
    const dark = isDark();
    let spec = structuredClone(charts.specs[name]);
    spec.config = merged(merged(spec.config ?? {}, { background: "transparent" }), dark ? charts.theme : {});
    spec.background = "transparent";
    spec = titled(figure, plot, fitted(spec, plot.clientWidth));
    const drawn = await vegaEmbed(plot, spec, { renderer: "svg", actions: false, tooltip: { theme: "custom" } });
    charts.views.get(name)?.finalize();
    charts.views.set(name, drawn);
    figure.dataset.drawn = dark ? "dark" : "light";
  }
  async function draw() {
    if (typeof vegaEmbed === "undefined") return;
    if (!charts.theme) {
      const given = data("reasonbench-charts");
      charts.specs = given.specs;
      charts.theme = given.dark;
    }
    charts.dark = isDark();
    delete root.dataset.charts;
    const round = (charts.round = (charts.round ?? 0) + 1);
    for (const figure of document.querySelectorAll("figure[data-chart]")) {
      // the page stays usable between two charts
      await new Promise((resolve) => setTimeout(resolve));
      if (round !== charts.round) return;
      if (figure.closest("[hidden]") === null) await drawOne(figure);
    }
    root.dataset.charts = "drawn";
  }
  let width = root.clientWidth;
  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (width !== root.clientWidth) { width = root.clientWidth; draw(); }
    }, 200);
  });

  enhance();
  recall(true);
  return { data, draw, enhance, make, tables, isDark, address, remember };
})();
