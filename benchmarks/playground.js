// The arithmetic of TensorFlow Playground's network, as objects of units and links in double precision: one example at
// a time, derivatives added up over a batch, then one step. It records nothing and draws nothing.

class Link {
  constructor(from, to, weight) {
    Object.assign(this, { from, to, weight, slopes: 0, count: 0 });
    from.outputs.push(this);
    to.inputs.push(this);
  }
}

class Unit {
  constructor(bias) {
    Object.assign(this, { bias, inputs: [], outputs: [], total: 0, output: 0, given: 0, slope: 0, slopes: 0, count: 0 });
  }

  forward() {
    this.total = this.bias;
    for (const link of this.inputs) this.total += link.weight * link.from.output;
    this.output = Math.tanh(this.total);
    return this.output;
  }

  // `given` is the derivative of the loss by the output; behind the activation it goes to the bias and to the links.
  backward() {
    const bent = Math.tanh(this.total);
    this.slope = this.given * (1 - bent * bent);
    this.slopes += this.slope;
    this.count += 1;
    for (const link of this.inputs) {
      link.slopes += this.slope * link.from.output;
      link.count += 1;
    }
  }

  collect() {
    this.given = 0;
    for (const link of this.outputs) this.given += link.weight * link.to.slope;
  }

  step(rate) {
    if (this.count > 0) {
      this.bias -= (rate * this.slopes) / this.count;
      this.slopes = this.count = 0;
    }
    for (const link of this.inputs) {
      if (link.count === 0) continue;
      link.weight -= (rate * link.slopes) / link.count;
      link.slopes = link.count = 0;
    }
  }
}

// `given`: layers as `{w, b}`, points as `[x, y, answer]`, the size of a batch, the rate.
function network(given) {
  const layers = [given.layers[0].w.map(() => new Unit(0))];
  for (const { w, b } of given.layers) {
    const units = b.map((bias) => new Unit(bias));
    const before = layers[layers.length - 1];
    units.forEach((to, column) => before.forEach((from, row) => new Link(from, to, w[row][column])));
    layers.push(units);
  }
  return layers;
}

function train(layers, given, epochs) {
  const [inputs, ...hidden] = layers;
  const [last] = hidden[hidden.length - 1];
  const start = performance.now();
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    given.points.forEach(([x, y, answer], index) => {
      inputs[0].output = x;
      inputs[1].output = y;
      for (const units of hidden) for (const unit of units) unit.forward();
      last.given = last.output - answer; // the loss is half the squared distance
      for (let place = hidden.length - 1; place >= 0; place -= 1) {
        for (const unit of hidden[place]) unit.backward();
        if (place > 0) for (const unit of hidden[place - 1]) unit.collect();
      }
      if ((index + 1) % given.batch === 0) for (const units of hidden) for (const unit of units) unit.step(given.rate);
    });
  }
  return (performance.now() - start) / 1000;
}

function parameters(layers) {
  return layers.slice(1).map((units) => ({
    w: layers[layers.indexOf(units) - 1].map((_, row) => units.map((unit) => unit.inputs[row].weight)),
    b: units.map((unit) => unit.bias),
  }));
}
