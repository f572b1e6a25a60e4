"use strict";
(() => {
  const data = JSON.parse(document.getElementById("browser-data").textContent);
  const at = (name) => document.getElementById(`browser-${name}`);
  const number = (name) => Number(at(name).value);
  const rgb = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  const rain = data.rain.colours.map(rgb);
  const chance = data.probability.colours.map(rgb);
  // Layers of a field, in the order in which they are stacked.
  const first = { truth: 0, beside: 1, mean: 1 + data.beside.length };
  first.member = first.mean + 1;
  first.probability = first.member + data.members;
  const unpacked = new Map();
  let timer = null;
  let shown = null;
  let drawn = 0;

  const classes = async (field) => {
    if (!unpacked.has(field)) {
      const picture = new Image();
      picture.src = `data:image/png;base64,${field.png}`;
      await picture.decode();
      const canvas = document.createElement("canvas");
      canvas.width = picture.width;
      canvas.height = picture.height;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(picture, 0, 0);
      const grey = context.getImageData(0, 0, picture.width, picture.height).data;
      const found = new Uint8Array(grey.length / 4);
      for (let i = 0; i < found.length; i += 1) found[i] = Math.round(grey[4 * i] / data.levels);
      unpacked.set(field, found);
    }
    return unpacked.get(field);
  };

  const layer = (field, all, index) => {
    const size = field.height * field.width;
    return all.subarray(index * size, (index + 1) * size);
  };

  const paint = (name, title, field, values, colours, outline) => {
    const canvas = at(`${name}-picture`);
    canvas.width = field.width;
    canvas.height = field.height;
    canvas.style.aspectRatio = `${field.width} / ${field.height * field.aspect}`;
    const context = canvas.getContext("2d");
    const picture = context.createImageData(field.width, field.height);
    for (let i = 0; i < values.length; i += 1) {
      picture.data.set(outline && outline(i) ? [0, 0, 0] : colours[values[i]], 4 * i);
      picture.data[4 * i + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
    canvas.setAttribute("aria-label", title);
    at(`${name}-title`).textContent = title;
  };

  // The rim of the area where the truth reaches a threshold.
  const rim = (field, truth, threshold) => {
    const edge = data.rain.edges.filter((value) => value <= threshold).length + 1;
    const wet = (row, column) =>
      row >= 0 && row < field.height && column >= 0 && column < field.width &&
      truth[row * field.width + column] >= edge;
    return (i) => {
      const row = Math.floor(i / field.width);
      const column = i % field.width;
      return wet(row, column) && !(wet(row - 1, column) && wet(row + 1, column) &&
        wet(row, column - 1) && wet(row, column + 1));
    };
  };

  const draw = async () => {
    const field = data.fields[number("hour")];
    const all = await classes(field);
    if (field !== data.fields[number("hour")]) return;
    const threshold = data.thresholds[number("threshold")];
    const of = (index) => layer(field, all, index);
    const truth = of(first.truth);
    const parts = [
      ["truth", "Truth", truth, rain],
      ["compared", data.beside[number("beside")], of(first.beside + number("beside")), rain],
      ["one", `Member ${data.numbers[number("member")]}`, of(first.member + number("member")), rain],
      ["mean", "Mean of all members", of(first.mean), rain],
      ["probability", `Probability of ${threshold} mm`,
        of(first.probability + number("threshold")), chance, rim(field, truth, threshold)],
    ];
    for (const [name, title, values, colours, outline] of parts) {
      paint(name, title, field, values, colours, outline);
    }
    shown = { field, parts };
    at("back").disabled = number("hour") === 0;
    at("next").disabled = number("hour") === data.fields.length - 1;
    const [start, end] = sequence(number("hour"));
    at("play").disabled = start === end;
    // Drawing waits for a picture to be unpacked; this tells how often it has come to its end.
    drawn += 1;
    at("readout").dataset.drawn = String(drawn);
  };

  // First and last of the consecutive hours around one.
  const sequence = (hour) => {
    let start = hour;
    let end = hour;
    while (data.fields[start].follows) start -= 1;
    while (end + 1 < data.fields.length && data.fields[end + 1].follows) end += 1;
    return [start, end];
  };

  const go = (hour) => {
    at("hour").value = hour;
    return draw();
  };

  const stop = () => {
    clearInterval(timer);
    timer = null;
    at("play").textContent = "play the sequence";
    at("play").setAttribute("aria-pressed", "false");
  };

  const play = () => {
    if (timer !== null) {
      stop();
      return;
    }
    at("play").textContent = "stop";
    at("play").setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      const [start, end] = sequence(number("hour"));
      go(number("hour") < end ? number("hour") + 1 : start);
    }, 700);
  };

  const range = (edges, value, unit, scale) => {
    if (value === 0) return "not known";
    const text = (edge) => Number((edge * scale).toPrecision(3));
    if (value === 1) return `below ${text(edges[0])} ${unit}`;
    if (value > edges.length) return `${text(edges[edges.length - 1])} ${unit} or more`;
    return `${text(edges[value - 2])} to ${text(edges[value - 1])} ${unit}`;
  };

  const read = (event) => {
    if (!shown) return;
    const box = event.target.getBoundingClientRect();
    const { field, parts } = shown;
    const place = (offset, length, count) =>
      Math.min(count - 1, Math.max(0, Math.floor((offset / length) * count)));
    const row = place(event.clientY - box.top, box.height, field.height);
    const column = place(event.clientX - box.left, box.width, field.width);
    const along = ([start, end], index, count) =>
      (start + ((end - start) * index) / Math.max(count - 1, 1)).toFixed(2);
    const values = parts.map(([, title, layerOf, colours]) => {
      const value = layerOf[row * field.width + column];
      return colours === rain
        ? `${title} ${range(data.rain.edges, value, "mm", 1)}`
        : `probability ${range(data.probability.edges, value, "%", 100)}`;
    });
    const where = `y ${along(field.y, row, field.height)} ${field.unit}, ` +
      `x ${along(field.x, column, field.width)} ${field.unit}`;
    at("readout").textContent = `${where}: ${values.join("; ")}`;
  };

  const scale = (name, title, { edges, colours }, unit, factor) => {
    at(name).append(`${title}: `);
    colours.forEach((colour, value) => {
      const chip = document.createElement("span");
      chip.className = "chip";
      chip.style.background = colour;
      at(name).append(chip, ` ${range(edges, value, unit, factor)} `);
    });
  };

  scale("rain-scale", "Rain in the hour", data.rain, "mm", 1);
  scale("probability-scale", "Probability", data.probability, "%", 100);
  for (const name of ["hour", "member", "threshold", "beside"]) {
    at(name).addEventListener("change", draw);
  }
  at("back").addEventListener("click", () => go(number("hour") - 1));
  at("next").addEventListener("click", () => go(number("hour") + 1));
  at("play").addEventListener("click", play);
  for (const name of ["truth", "compared", "one", "mean", "probability"]) {
    at(`${name}-picture`).addEventListener("pointermove", read);
  }
  draw();
})();
