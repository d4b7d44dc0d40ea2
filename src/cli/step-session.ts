/**
 * `sluice step -i`: back and forth in a recorded run. On a terminal each command is a key (`g`, `u` and `w` then ask for a place), elsewhere a
 * line of standard input.
 */
import { createInterface } from 'node:readline';
import type { LineInfo } from '../object/spec.ts';
import type { Output } from './output.ts';
import type { RecordedStep } from './step-recording.ts';

export interface SteppedRun {
  readonly steps: readonly RecordedStep[];
  /** How the run ended, for the step behind the last. */
  readonly end: string;
  /** Bytes of the frame below r10, before that step: of a second run that is the same. */
  stackAt(step: number): Promise<Uint8Array>;
  /** Whether a step is at a place; throws UsageError for a place that is none. */
  placeOf(text: string): (step: RecordedStep) => boolean;
}

const help = [
  'n, enter  next instruction        p  previous instruction',
  'l         next source line        k  source line before',
  'g N       go to step N            u PLACE  on to insn N, FILE:LINE or :LINE',
  '                                  w PLACE  back to it',
  'r         registers               s  stack',
  'm         map operations so far   a  first step    e  end',
  'h         this                    q  quit',
];
/** Commands that take the rest of a line. */
const asking: ReadonlySet<string> = new Set(['g', 'u', 'w']);

export class StepSession {
  /** The step that comes next; the number of steps at the end. */
  at = 0;
  readonly #run: SteppedRun;
  readonly #output: Output;

  constructor(run: SteppedRun, output: Output) {
    this.#run = run;
    this.#output = output;
  }

  /** Carries out commands until `q` or the end of the input. */
  async serve(input: NodeJS.ReadStream): Promise<void> {
    this.#show();
    if (input.isTTY === true) return this.#keys(input);
    for await (const line of createInterface({ input })) if (!(await this.command(line))) return;
  }

  /** False after `q`. */
  async command(text: string): Promise<boolean> {
    const [, name = '', rest = ''] = /^\s*(\S?)\s*(.*?)\s*$/.exec(text) ?? [];
    const { steps } = this.#run;
    switch (name) {
      case '':
      case 'n':
        return this.#to(this.at + 1);
      case 'p':
      case 'b':
        return this.#to(this.at - 1);
      case 'l':
        return this.#to(this.#nextLine());
      case 'k':
        return this.#to(this.#lineBefore());
      case 'a':
        return this.#to(0);
      case 'e':
        return this.#to(steps.length);
      case 'g':
        if (!/^\d+$/.test(rest)) return this.#say(`g ${rest}: not the number of a step`);
        return this.#to(Number(rest));
      case 'u':
      case 'w': {
        let is: (step: RecordedStep) => boolean;
        try {
          is = this.#run.placeOf(rest);
        } catch (error) {
          return this.#say(error instanceof Error ? error.message : String(error));
        }
        const found =
          name === 'u'
            ? steps.findIndex((step, i) => i > this.at && is(step))
            : steps.findLastIndex((step, i) => i < this.at && is(step));
        return found < 0
          ? this.#say(`${rest} is not reached ${name === 'u' ? 'from' : 'before'} here`)
          : this.#to(found);
      }
      case 'r':
        return this.#registers();
      case 's':
        return this.#stack();
      case 'm':
        return this.#operations();
      case 'h':
      case '?':
        for (const line of help) this.#say(line);
        return true;
      case 'q':
        return false;
      default:
        return this.#say(`${name} is no command; h lists them`);
    }
  }

  #say(text: string): true {
    this.#output.line(text);
    return true;
  }

  #to(step: number): true {
    this.at = Math.min(Math.max(step, 0), this.#run.steps.length);
    return this.#show();
  }

  #show(): true {
    const step = this.#run.steps[this.at];
    const { dim } = this.#output.colors;
    if (step === undefined) return this.#say(`end: ${this.#run.end}`);
    const before = this.#run.steps[this.at - 1];
    if (step.line !== undefined && !sameLine(step, before))
      this.#say(dim(`; ${step.line.text.trim()} @ ${step.line.file}:${step.line.line}`));
    if (before !== undefined && before.program !== step.program) this.#say(`${step.program}:`);
    const changed = before === undefined ? step.registers.map((_, i) => i) : changes(before, step);
    // What the instruction before changed: registers as they are before this one.
    const values = changed.filter((i) => step.registers[i] !== '-').map((i) => `r${i}=${step.registers[i]}`);
    if (values.length > 0) this.#say(`${' '.repeat(15)}${values.join(' ')}`);
    return this.#say(`${String(this.at).padStart(6)} ${`${step.slot}:`.padStart(6)} ${step.insn}`);
  }

  #registers(): true {
    const step = this.#run.steps[Math.min(this.at, this.#run.steps.length - 1)];
    for (const [i, text] of step?.registers.entries() ?? []) this.#say(`r${i}`.padEnd(4) + text);
    return true;
  }

  async #stack(): Promise<true> {
    if (this.at >= this.#run.steps.length) return this.#say('the run is over');
    const bytes = await this.#run.stackAt(this.at);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let empty = true;
    for (let at = bytes.length - 8; at >= 0; at -= 8) {
      const word = view.getBigUint64(at, true);
      if (word === 0n) continue;
      empty = false;
      this.#say(`r10${at - bytes.length}`.padEnd(8) + `0x${word.toString(16).padStart(16, '0')}`);
    }
    return empty ? this.#say('all zero') : true;
  }

  #operations(): true {
    const done = this.#run.steps
      .slice(0, this.at)
      .flatMap(({ operation }, i) => (operation === undefined ? [] : [[i, operation] as const]));
    for (const [i, operation] of done) this.#say(`${String(i).padStart(6)} ${operation}`);
    return done.length === 0 ? this.#say('no map operations so far') : true;
  }

  #nextLine(): number {
    const { steps } = this.#run;
    const here = steps[this.at];
    const next = steps.findIndex((step, i) => i > this.at && !sameLine(step, here));
    return next < 0 ? steps.length : next;
  }

  /** First step of this line's stretch, or of the one before if this is it already. */
  #lineBefore(): number {
    const { steps } = this.#run;
    let at = this.at - 1;
    while (at > 0 && sameLine(steps[at - 1], steps[at])) at--;
    return at;
  }

  async #keys(input: NodeJS.ReadStream): Promise<void> {
    input.setRawMode(true);
    let asked: string | undefined;
    try {
      for await (const chunk of input) {
        for (const key of String(chunk)) {
          if (key === '\u0003' || key === '\u0004') return;
          if (asked !== undefined && key !== '\r' && key !== '\n') {
            asked = key === '\u007f' ? asked.slice(0, -1) : asked + key;
            process.stdout.write(key === '\u007f' ? '\b \b' : key);
            continue;
          }
          if (asking.has(key) && asked === undefined) {
            asked = `${key} `;
            process.stdout.write(asked);
            continue;
          }
          const command = asked ?? (key === '\r' || key === '\n' || key === ' ' ? 'n' : key);
          if (asked !== undefined) process.stdout.write('\n');
          asked = undefined;
          if (!(await this.command(command))) return;
        }
      }
    } finally {
      input.setRawMode(false);
      input.pause();
    }
  }
}

function sameLine(a: RecordedStep | undefined, b: RecordedStep | undefined): boolean {
  const key = (line: LineInfo | undefined) => (line === undefined ? '' : `${line.file}:${line.line}`);
  return a !== undefined && b !== undefined && a.program === b.program && key(a.line) === key(b.line);
}

function changes(before: RecordedStep, after: RecordedStep): number[] {
  return after.registers.flatMap((text, i) => (text === before.registers[i] ? [] : [i]));
}
