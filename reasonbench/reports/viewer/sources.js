"use strict";
/* Where samples come from: what a pool is called, which is looked at first, and choosing one. */
viewer.sources = (() => {
  const { header } = viewer.data;
  const { h } = viewer;
  const { sources, runs } = header;
  const versions = new Map();
  for (const source of sources) {
    const key = `${source.run}/${source.pool}`;
    versions.set(key, [...(versions.get(key) ?? []), source]);
  }

  /* The same pool under every version of the weights, in their order. */
  const versionsOf = (source) => versions.get(`${source.run}/${source.pool}`);

  const weights = (source) => (source.step === null ? `weights ${source.version}` : `step ${source.step}`);

  /* What draws from it, or its pool's name; the weights where there are several. */
  function label(source, benchmark = null) {
    const own = benchmark === null ? source.label : (source.strategies[benchmark] ?? []);
    const some = own.slice(0, 3).join(", ") + (own.length > 3 ? ` and ${own.length - 3} more` : "");
    const named = some || (source.search ?? source.pool);
    return versionsOf(source).length > 1 ? `${named}, ${weights(source)}` : named;
  }

  const full = (source, benchmark = null) =>
    (runs.length > 1 ? `${runs[source.run].name}: ` : "") + label(source, benchmark);

  /* What tells it from another choice beside the strategy's name. */
  const whose = (source) => [runs.length > 1 ? runs[source.run].name : null, versionsOf(source).length > 1 ? weights(source) : null]
    .filter(Boolean).join(", ");

  /* Of a run what most strategies draw from, by its latest weights. */
  function first(run) {
    return sources.filter((source) => source.run === run)
      .reduce((best, one) => (best === null || one.label.length > best.label.length
        || (one.pool === best.pool && one.version > best.version) ? one : best), null);
  }

  /* What a source is compared with at first: the same pool in another run. */
  function other(source) {
    const run = runs.findIndex((_, place) => place !== source.run && first(place) !== null);
    if (run < 0) return null;
    const alike = sources.filter((one) => one.run === run && one.pool === source.pool);
    return alike.find((one) => one.version === source.version) ?? alike.at(-1) ?? first(run);
  }

  /* The options of a choice, grouped by run where there are several. */
  function options(chosen) {
    const option = (source) =>
      h("option", { value: source.place, selected: source === chosen, title: source.pool }, viewer.short(full(source), 70));
    if (runs.length === 1) return sources.map(option);
    return runs.map((run, place) =>
      h("optgroup", { label: run.name }, sources.filter((source) => source.run === place).map(option)));
  }

  /* The lines of the run's table that are about a source. */
  const rowsOf = (source) => runs[source.run].rows.filter((row) =>
    (source.strategies[row.benchmark] ?? []).includes(row.strategy) && row.weight_version === source.version);

  return { versionsOf, weights, label, full, whose, first, other, options, rowsOf };
})();
