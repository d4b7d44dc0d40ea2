/** One line on stderr for work longer than a second: at most ten times a second, and only on a terminal. */
export class Progress {
  readonly #label: string;
  readonly #total: number | undefined;
  readonly #start = performance.now();
  readonly #shown = process.stderr.isTTY === true && process.env['CI'] === undefined;
  #last = 0;
  #drawn = false;

  constructor(label: string, total?: number) {
    this.#label = label;
    this.#total = total;
  }

  update(done: number, detail = ''): void {
    const now = performance.now();
    if (!this.#shown || now - this.#start < 1000 || now - this.#last < 100) return;
    this.#last = now;
    this.#drawn = true;
    const of = this.#total === undefined ? '' : ` of ${this.#total} (${Math.floor((100 * done) / this.#total)} %)`;
    process.stderr.write(`\r\x1b[2K${this.#label}: ${done}${of} ${detail}`);
  }

  end(): void {
    if (this.#drawn) process.stderr.write('\r\x1b[2K');
  }
}
