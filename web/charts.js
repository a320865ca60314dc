// charts.js - lines over the last two minutes, drawn by Chart.js where the node has it.
const POINTS = 120;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function note(canvas) {
  const text = document.createElement("p");
  text.className = "note";
  text.textContent = "This node was built without the chart library (Debian's libjs-chart.js), so there are numbers only.";
  canvas.closest(".chart")?.replaceWith(text);
}

/** Lines in one canvas. `series` has a name and a colour each: a CSS variable, or the colour. */
export class Lines {
  constructor(canvas, series, print) {
    this.series = series;
    if (window.Chart === undefined) {
      note(canvas);
      return;
    }
    const axis = { grid: {}, ticks: {}, border: { display: false } };
    this.chart = new window.Chart(canvas, {
      type: "line",
      data: { labels: [], datasets: series.map((s) => ({ label: s.name, data: [], borderWidth: 2, pointRadius: 0, tension: 0 })) },
      options: {
        animation: false, responsive: true, maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        scales: {
          x: { ...axis, ticks: { maxTicksLimit: 6, maxRotation: 0, autoSkip: true } },
          y: { ...axis, beginAtZero: true, ticks: { maxTicksLimit: 6, precision: 0, callback: print } },
        },
        plugins: {
          legend: { position: "bottom", labels: { boxWidth: 14, boxHeight: 2 } },
          tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${print(item.raw)}` } },
        },
      },
    });
    this.paint();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  paint() {
    const { options, data } = this.chart;
    for (const axis of [options.scales.x, options.scales.y]) {
      axis.ticks.color = colour("--faint");
      axis.grid.color = colour("--grid");
    }
    options.plugins.legend.labels.color = colour("--text");
    data.datasets.forEach((set, i) => {
      const name = this.series[i].colour;
      set.borderColor = set.backgroundColor = name.startsWith("--") ? colour(name) : name;
    });
    this.chart.update();
  }

  /** One more point of each line; undefined leaves a gap. */
  add(values) {
    if (this.chart === undefined) return;
    const { data } = this.chart;
    data.labels.push(new Date().toLocaleTimeString("en-GB"));
    data.datasets.forEach((set, i) => set.data.push(values[i] ?? null));
    if (data.labels.length > POINTS) {
      data.labels.shift();
      for (const set of data.datasets) set.data.shift();
    }
    this.chart.update();
  }

  destroy() {
    this.chart?.destroy();
  }
}
