/** `sluice step OBJ:P`: one run in the interpreter, instruction by instruction: what each changed, and its source line. */
import type { Position } from '../interpreter/index.ts';
import { disassembleInsn } from '../isa/disassembler.ts';
import type { LineInfo } from '../object/spec.ts';
import { FRAME_SIZE } from '../plane/layout/memory.ts';
import { ProgramFault } from '../runtime/fault.ts';
import type { RunInput } from '../runtime/handles.ts';
import { observeSteps, type StepObserver } from '../runtime/interpreter-engine.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { type ExitCode, exitCode, UsageError } from './exit.ts';
import { readMapInput } from './map-input.ts';
import { integerOption } from './options.ts';
import type { Output } from './output.ts';
import { bytesOf, type Recording, readRecording, runRecorded } from './recording.ts';
import { subjectOf } from './replay.ts';
import { readInput, selectOne } from './selector.ts';
import { RECORDED_STEPS, type Registers, registerText, StepRecording } from './step-recording.ts';
import { StepSession } from './step-session.ts';
import { createSubject, type Subject } from './subjects.ts';
import { addSurroundings, type SurroundingsOptions, surroundingsOf } from './surroundings.ts';
import type { Verb } from './verb.ts';
import { verdictName } from './verdicts.ts';

interface StepOptions extends SurroundingsOptions {
  readonly dataIn?: string;
  readonly ctxIn?: string;
  readonly from: number;
  readonly count: number;
  readonly until?: string;
  readonly maps?: string;
  readonly seed: number;
  readonly unverified?: boolean;
  readonly run: number;
  readonly interactive?: boolean;
  readonly json?: boolean;
}

interface Step {
  /** From 0. */
  readonly step: number;
  readonly program: string;
  readonly slot: number;
  readonly insn: string;
  readonly line: LineInfo | undefined;
  /** Registers that the instruction changed, as they are after it. */
  readonly changed: Record<string, string>;
}

export const stepVerb: Verb = (program, finish) => {
  const command = program
    .command('step')
    .description(
      'one run in the interpreter, each instruction with the registers that it changes and its source line; a run repeats exactly, so a smaller --from goes back',
    )
    .argument('<obj:program>', 'object file and program (or section), or a recording (.json) with its input')
    .option('--data-in <file>', 'packet, as raw bytes; - is standard input')
    .option('--ctx-in <file>', 'context in its UAPI layout')
    .option('--from <n>', 'first step to show, with all registers before it', integerOption(0, 1e9), 0)
    .option('--count <n>', 'steps to show', integerOption(1, 1e6), 1000)
    .option('--until <place>', 'show steps up to the first at insn N, FILE:LINE or :LINE')
    .option('--run <n>', 'which run of a recording, from 0; those before it run first', integerOption(0, 1e9), 0)
    .option('--maps <file>', 'initial contents of maps, as JSON: {"MAP": [[KEY, VALUE], …]}')
    .option('--seed <n>', 'of the random numbers that programs see', integerOption(0, 0xffff_ffff), 1)
    .option('-i, --interactive', 'forward and back by keys, or by lines of standard input; h lists the commands')
    .option('--unverified', 'runs what the verifier refuses or does not follow')
    .option('--json', 'result as JSON (sluice.step/1)');
  addSurroundings(command);
  command.action((selector: string, options: StepOptions) =>
    finish(options.json === true, async (output) => {
      const recording = selector.endsWith('.json') ? readRecording(selector) : undefined;
      if (recording === undefined && options.dataIn === undefined && options.ctxIn === undefined)
        throw new UsageError('give --data-in FILE, --ctx-in FILE or both');
      const reached = options.until === undefined ? undefined : placeOf(options.until);
      const stepped = recording === undefined ? fresh(selector, options) : recorded(recording, selector, options);
      if (options.interactive === true) {
        if (options.json === true || options.dataIn === '-' || options.ctxIn === '-')
          throw new UsageError('-i takes commands from standard input, and gives no --json');
        return interact(stepped, output);
      }
      const subject = await stepped.subject();
      const trace = new StepTrace(options.from, options.count, reached);
      observeSteps(subject.runtime!, (position, registers) => trace.visit(position, registers)); // the interpreter's
      let end: string;
      let fault = false;
      let returnValue: number | null = null;
      try {
        returnValue = subject.program.run(stepped.input).returnValue;
        end = `${verdictName(subject.program.type, returnValue)} (${returnValue}) after ${trace.steps} steps`;
      } catch (error) {
        if (!(error instanceof ProgramFault)) throw error;
        fault = true;
        end = error.message;
      } finally {
        subject.close();
      }
      trace.finish();
      print(trace, output);
      output.line(fault ? output.colors.red(end) : end);
      const { before, shown, steps } = trace;
      output.document({ schema: 'sluice.step/1', steps, before, shown, returnValue, fault: fault ? end : null });
      return fault || (reached !== undefined && !trace.reached) ? exitCode.no : exitCode.yes;
    }),
  );
};

/** What is stepped through, and how to have it again from the start. */
interface SteppedInput {
  /** A program with its maps as they are before the run. */
  readonly subject: () => Promise<Subject>;
  readonly input: RunInput;
}

function fresh(selector: string, options: StepOptions): SteppedInput {
  const { object, program } = selectOne(selector);
  const surroundings = surroundingsOf(options, true);
  const maps = options.maps === undefined ? {} : readMapInput(options.maps);
  return {
    subject: () =>
      createSubject(object, program, 'interpreter', {
        seed: BigInt(options.seed),
        maps,
        surroundings,
        unverified: options.unverified,
      }),
    input: inputOf(options),
  };
}

function recorded(recording: Recording, path: string, options: StepOptions): SteppedInput {
  const run = recording.runs[options.run];
  if (run === undefined) throw new UsageError(`--run ${options.run}: ${path} has ${recording.runs.length} runs`);
  return {
    async subject() {
      const subject = await subjectOf(recording, path, 'interpreter', options.unverified === true);
      for (const { input } of recording.runs.slice(0, options.run)) runRecorded(subject.program, input);
      return subject;
    },
    input: { ...bytesOf(run.input), ...inputOf(options) },
  };
}

function inputOf({ dataIn, ctxIn }: StepOptions): RunInput {
  return {
    ...(dataIn === undefined ? {} : { data: readInput(dataIn) }),
    ...(ctxIn === undefined ? {} : { context: readInput(ctxIn) }),
  };
}

/** Records the run, then lets commands walk through it. Stacks are read by running again, as every run is the same. */
async function interact({ subject: subjectOf, input }: SteppedInput, output: Output): Promise<ExitCode> {
  const watched = async (observer: (runtime: Runtime) => StepObserver) => {
    const subject = await subjectOf();
    try {
      const runtime = subject.runtime!; // the interpreter's
      observeSteps(runtime, observer(runtime));
      const { returnValue } = subject.program.run(input);
      return `${verdictName(subject.program.type, returnValue)} (${returnValue})`;
    } catch (error) {
      if (!(error instanceof ProgramFault)) throw error;
      return error.message;
    } finally {
      subject.close();
    }
  };
  let recording: StepRecording | undefined;
  const outcome = await watched((runtime) => {
    const recorded = new StepRecording(runtime);
    recording = recorded;
    return (position, registers) => recorded.visit(position, registers);
  });
  const { steps, total } = recording!; // made before the run
  const cut = total > steps.length ? `; the first ${RECORDED_STEPS} of its steps are recorded` : '';
  const session = new StepSession(
    {
      steps,
      end: `${outcome} after ${total} steps${cut}`,
      placeOf: place,
      async stackAt(wanted) {
        let stack = new Uint8Array();
        let step = 0;
        await watched((runtime) => (_, registers) => {
          if (step++ !== wanted) return;
          const top = Number(registers()[10]?.value ?? 0n);
          stack = runtime.bytes().slice(top - FRAME_SIZE, top);
        });
        return stack;
      },
    },
    output,
  );
  await session.serve(process.stdin);
  return exitCode.yes;
}

/** Keeps the steps of a window; only their registers are read. */
class StepTrace {
  readonly shown: Step[] = [];
  /** Registers before the first step that is shown. */
  before: Record<string, string> = {};
  steps = 0;
  reached = false;
  readonly #from: number;
  readonly #count: number;
  readonly #until: ((position: Position) => boolean) | undefined;
  #pending: { readonly step: Omit<Step, 'changed'>; readonly registers: Registers } | undefined;

  constructor(from: number, count: number, until: ((position: Position) => boolean) | undefined) {
    this.#from = from;
    this.#count = count;
    this.#until = until;
  }

  visit(position: Position, read: () => Registers): void {
    const step = this.steps++;
    if (this.#pending !== undefined) {
      const { step: before, registers } = this.#pending;
      this.#pending = undefined;
      this.shown.push({ ...before, changed: changes(registers, read()) });
    }
    if (step < this.#from || this.shown.length >= this.#count || this.reached) return;
    const registers = read();
    if (step === this.#from) this.before = changes([], registers);
    const { program } = position.image;
    const { slot } = position;
    const described = {
      step,
      program: program.name,
      slot,
      insn: disassembleInsn(program.insns[slot]!, program.insns[slot + 1]),
      line: program.lines.findLast((line) => line.slot <= slot),
    };
    this.reached = this.#until?.(position) === true;
    if (this.reached) this.shown.push({ ...described, changed: {} });
    else this.#pending = { step: described, registers };
  }

  /** The last instruction of a run, an EXIT or the one that faults, has none after it to see what it changed. */
  finish(): void {
    if (this.#pending !== undefined) this.shown.push({ ...this.#pending.step, changed: {} });
    this.#pending = undefined;
  }
}

function changes(before: Registers, after: Registers): Record<string, string> {
  return Object.fromEntries(
    after.flatMap((register, i) => {
      const text = registerText(register);
      return text === registerText(before[i]) ? [] : [[`r${i}`, text]];
    }),
  );
}

type Place = (at: { readonly slot: number; readonly line: LineInfo | undefined }) => boolean;

/** `12` or `insn 12`: a slot; `FILE:LINE`, `:LINE`: a source line. */
function place(text: string): Place {
  const [, slot] = /^(?:insn )?(\d+)$/.exec(text) ?? [];
  if (slot !== undefined) return (at) => at.slot === Number(slot);
  const [, file, line] = /^(.*):(\d+)$/.exec(text) ?? [];
  if (file === undefined) throw new UsageError(`${text} is neither an instruction's number nor FILE:LINE`);
  return ({ line: found }) => found?.line === Number(line) && found.file.endsWith(file);
}

function placeOf(text: string): (position: Position) => boolean {
  const is = place(text);
  return ({ image, slot }) => is({ slot, line: image.program.lines.findLast((each) => each.slot <= slot) });
}

function print({ before, shown }: StepTrace, output: Output): void {
  const { dim, bold } = output.colors;
  output.line(dim(`before: ${list(before)}`));
  let last: LineInfo | undefined;
  let program: string | undefined;
  for (const { step, program: name, slot, insn, line, changed } of shown) {
    if (name !== program) output.line(bold(`${name}:`));
    program = name;
    if (line !== undefined && (line.file !== last?.file || line.line !== last.line))
      output.line(dim(`; ${line.text.trim()} @ ${line.file}:${line.line}`));
    last = line;
    output.line(`${String(step).padStart(6)} ${`${slot}:`.padStart(6)} ${insn.padEnd(38)} ${list(changed)}`.trimEnd());
  }
}

function list(registers: Readonly<Record<string, string>>): string {
  return Object.entries(registers)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}
