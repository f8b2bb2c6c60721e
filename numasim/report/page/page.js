"use strict";
(function () {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const GAP = -32768;
  const PAPER_PX = 680; // fits between the margins of A4 and of Letter
  const SMALLEST_ZOOM = 0.4;
  const PAPER_HIGH_PX = 240; // a first chart finds room below verdict and reasons
  // Roles and colours as the page is light; what they become where it is dark.
  const LIGHT = { ink: "#1d2733", muted: "#5a6570", grid: "#dfe3e8", paper: "rgba(0,0,0,0)", unseen: "#c9ced4", hover: "#ffffff" };
  const DARK = { ink: "#e6eaee", muted: "#a3adb8", grid: "#38414b", paper: "rgba(0,0,0,0)", unseen: "#4a525b", hover: "#1d232a" };
  const BRIGHTER = {
    "#0072b2": "#4aa8e8", "#d55e00": "#ff8237", "#009e73": "#2cc79a", "#7b3294": "#c08be0",
    "#5b6570": "#aab4be", "#8c6d31": "#cda55c", "#c4161c": "#ff7070", "#4a5561": "#b6bfc8",
    "#8a939c": "#a5aeb7", "#56b4e9": "#8fd0ff", "#cc79a7": "#e8a3c8",
  };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const touch = window.matchMedia("(hover: none)");
  let printing = false;
  const isDark = () => dark.matches && !printing;

  function colour(text) {
    if (typeof text !== "string" || text[0] !== "@") return text;
    const name = text.slice(1);
    if (name[0] === "#") return (isDark() && BRIGHTER[name.toLowerCase()]) || name;
    return (isDark() ? DARK : LIGHT)[name];
  }

  // Plain data with colours of the theme; only keys that are colours are looked up.
  function coloured(value, key) {
    if (Array.isArray(value)) return key && key.endsWith("color") ? value.map(colour) : value.map((v) => (v && typeof v === "object" ? coloured(v) : v));
    if (value && typeof value === "object") {
      if (ArrayBuffer.isView(value)) return value;
      const made = {};
      for (const k of Object.keys(value)) made[k] = coloured(value[k], k);
      return made;
    }
    return key && key.endsWith("color") ? colour(value) : value;
  }

  function words(heat) {
    if (heat === 0) return "0";
    for (const [size, name] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) if (heat >= size) return +(heat / size).toPrecision(3) + name;
    return String(+heat.toPrecision(3));
  }

  function unpacked(packed, lowest) {
    const raw = atob(packed.$heat);
    const bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    const view = new DataView(bytes.buffer);
    const [rows, columns] = packed.shape;
    const z = [], text = [];
    for (let r = 0; r < rows; r++) {
      const line = new Array(columns), said = new Array(columns);
      for (let c = 0; c < columns; c++) {
        const step = view.getInt16(2 * (r * columns + c), true);
        const known = step !== GAP, value = step / 1000;
        line[c] = known ? value : null;
        said[c] = known ? (value <= lowest + 1e-3 ? "at most " : "") + words(10 ** value) + " accesses/s to a page" : "not monitored";
      }
      z.push(line);
      text.push(said);
    }
    return { z, text };
  }

  function prepare(chart) {
    for (const trace of chart.figure.data)
      if (trace.z && trace.z.$heat) Object.assign(trace, unpacked(trace.z, trace.zmin));
    chart.ready = true;
  }

  const AXIS = { gridcolor: "@grid", zerolinecolor: "@grid", linecolor: "@muted", tickcolor: "@muted", automargin: true };

  function axis(given, small) {
    const made = Object.assign({}, AXIS, given);
    if (small && made.title) made.title = Object.assign({}, made.title, { standoff: 4 });
    return made;
  }

  function heightOf(chart) {
    return printing && chart.time ? Math.min(chart.height, PAPER_HIGH_PX) : chart.height;
  }

  function layoutOf(chart, div) {
    const given = chart.figure.layout, small = div.clientWidth < 520;
    const made = Object.assign({
      paper_bgcolor: "@paper", plot_bgcolor: "@paper", font: { color: "@muted", size: small ? 11 : 12, family: "system-ui, sans-serif" },
      margin: { l: 8, r: 16, t: 8, b: 8 }, dragmode: small || touch.matches ? false : "zoom", hoverlabel: { bgcolor: "@hover", font: { color: "@ink" } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: "@ink", size: 11 }, itemsizing: "constant" }, autosize: true,
      modebar: { bgcolor: "@paper", color: "@muted", activecolor: "@ink" },
    }, given);
    if (printing) Object.assign(made, { autosize: false, width: PAPER_PX, height: heightOf(chart) });
    made.xaxis = axis(given.xaxis, small);
    made.yaxis = axis(given.yaxis, small);
    if (small) for (const t of ["xaxis", "yaxis"]) made[t].nticks = 5;
    for (const [link, name] of [[chart.time, "xaxis"], [chart.place, "yaxis"]]) {
      const range = link && ranges[(name === "xaxis" ? "x " : "y ") + link];
      if (range) made[name] = Object.assign({}, made[name], { range: range.slice(), autorange: false });
    }
    return coloured(made);
  }

  // -- drawing, when a chart comes into sight ------------------------------------------------------
  const drawn = new Map();
  const ranges = {};
  // Only buttons that are named here: libraries to come may add some that send the data away.
  const BUTTONS = [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]];
  const configOf = () => ({
    displaylogo: false, responsive: true, scrollZoom: false, modeBarButtons: BUTTONS,
    displayModeBar: touch.matches ? false : "hover", // where nothing hovers it would stay, above legends
    plotlyServerURL: "", showSendToCloud: false, showEditInChartStudio: false, showLink: false,
  });

  function draw(chart) {
    const div = document.getElementById(chart.id);
    if (drawn.has(chart) || !div) return;
    if (!chart.ready) prepare(chart);
    drawn.set(chart, div);
    const named = chart.figure.data.filter((trace) => trace.name && trace.showlegend !== false).length;
    chart.height = parseInt(div.style.height, 10);
    if (div.clientWidth < 520 && named > 2) chart.height += Math.min(140, 16 * (named - 2)); // the legend's lines
    div.style.height = heightOf(chart) + "px";
    Plotly.newPlot(div, coloured(chart.figure.data), layoutOf(chart, div), configOf());
    div.dataset.drawn = "yes";
    div.on("plotly_relayout", (event) => follow(chart, event));
    div.on("plotly_doubleclick", () => false);
  }

  function redraw() {
    for (const [chart, div] of drawn) {
      div.style.height = heightOf(chart) + "px";
      Plotly.react(div, coloured(chart.figure.data), layoutOf(chart, div), configOf());
    }
  }

  // -- linked axes ---------------------------------------------------------------------------------
  let following = false;

  function rangeIn(event, name) {
    if (event[name + ".range[0]"] !== undefined) return [event[name + ".range[0]"], event[name + ".range[1]"]];
    if (event[name + ".range"]) return event[name + ".range"];
    return event[name + ".autorange"] ? null : undefined;
  }

  function follow(chart, event) {
    if (following) return;
    const jobs = new Map();
    for (const [key, name, link] of [["x ", "xaxis", "time"], ["y ", "yaxis", "place"]]) {
      const range = chart[link] ? rangeIn(event, name) : undefined;
      if (range === undefined) continue;
      if (range === null) delete ranges[key + chart[link]];
      else ranges[key + chart[link]] = range.slice();
      for (const [other, div] of drawn) {
        if (other[link] !== chart[link]) continue;
        const first = other.figure.layout[name].range;
        const change = jobs.get(div) || {};
        if (range) change[name + ".range"] = range.slice();
        else if (first) change[name + ".range"] = first.slice();
        else change[name + ".autorange"] = true;
        jobs.set(div, change);
      }
    }
    following = true;
    Promise.all([...jobs].map(([div, change]) => Plotly.relayout(div, change))).finally(() => { following = false; });
  }

  const sight = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      sight.unobserve(entry.target);
      draw(charts.find((chart) => chart.id === entry.target.id));
    }
  }, { rootMargin: "300px" });
  for (const chart of charts) sight.observe(document.getElementById(chart.id));

  dark.addEventListener("change", redraw);
  touch.addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => {
    printing = true;
    for (const chart of charts) {
      const div = document.getElementById(chart.id);
      if (div.offsetParent !== null) draw(chart);
    }
    redraw();
    fit();
  });
  window.addEventListener("afterprint", () => { printing = false; redraw(); fit(); });

  // Paper does not scroll: a table that is too wide for it is printed smaller.
  function fit() {
    document.documentElement.classList.toggle("printing", printing);
    for (const table of document.querySelectorAll(".scroll > table")) {
      table.style.zoom = "";
      if (printing && table.offsetWidth > PAPER_PX) table.style.zoom = Math.max(SMALLEST_ZOOM, PAPER_PX / table.offsetWidth);
    }
  }

  // -- tables --------------------------------------------------------------------------------------
  for (const button of document.querySelectorAll("table.sorts th button")) {
    button.addEventListener("click", () => {
      const th = button.parentElement, table = th.closest("table"), body = table.tBodies[0];
      const column = th.cellIndex, up = th.getAttribute("aria-sort") !== "ascending", sign = up ? 1 : -1;
      for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = [...body.rows].map((row) => {
        const cell = row.cells[column], by = cell.dataset.by;
        return { row, by: by === undefined ? null : Number(by), text: cell.textContent };
      });
      const numeric = keyed.some((one) => one.by !== null);
      keyed.sort((a, b) => {
        if (!numeric) return sign * a.text.localeCompare(b.text, undefined, { numeric: true });
        if (a.by === null || b.by === null) return (a.by === null) - (b.by === null); // no number: last
        return sign * (a.by - b.by);
      });
      body.append(...keyed.map((one) => one.row));
    });
  }

  // -- copying -------------------------------------------------------------------------------------
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const pre = button.parentElement.querySelector("pre");
      try {
        await navigator.clipboard.writeText(pre.textContent);
      } catch {
        const range = document.createRange();
        range.selectNodeContents(pre);
        const selection = window.getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
})();
