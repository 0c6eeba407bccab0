"use strict";
// Shows the values under the pointer. Every text goes in as text, never as markup.
for (const plot of document.querySelectorAll(".plot[data-chart]")) {
  const chart = JSON.parse(plot.dataset.chart);
  const field = plot.querySelector(".field");
  if (!chart.at.length) continue;
  const rule = document.createElement("div");
  rule.className = "rule";
  const box = document.createElement("div");
  box.className = "values";
  field.append(rule, box);
  const nearest = (share) => {
    let best = 0;
    chart.at.forEach((at, i) => {
      if (Math.abs(at - share) < Math.abs(chart.at[best] - share)) best = i;
    });
    return best;
  };
  const show = (event) => {
    const frame = field.getBoundingClientRect();
    const i = nearest((event.clientX - frame.left) / frame.width);
    box.replaceChildren();
    const head = document.createElement("b");
    head.textContent = chart.x[i];
    box.append(head);
    for (const series of chart.series) {
      if (!series.y[i]) continue;
      const row = document.createElement("span");
      row.className = "t" + series.tone;
      const dot = document.createElement("i");
      row.append(dot, series.name + " " + series.y[i]);
      box.append(row);
    }
    rule.style.left = chart.at[i] * 100 + "%";
    box.style.left = chart.at[i] > 0.6 ? "auto" : "calc(" + chart.at[i] * 100 + "% + 8px)";
    box.style.right = chart.at[i] > 0.6 ? "calc(" + (1 - chart.at[i]) * 100 + "% + 8px)" : "auto";
    plot.classList.add("pointed");
  };
  field.addEventListener("pointermove", show);
  field.addEventListener("pointerdown", show);
  field.addEventListener("pointerleave", () => plot.classList.remove("pointed"));
}
document.documentElement.dataset.ready = "yes";
