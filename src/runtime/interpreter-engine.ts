/** The interpreter as the loader uses it: one a runtime; programs become images, tail calls find them by function-table index. */
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import {
  type Argument,
  describeFault,
  Interpreter,
  type LoadedImage,
  type Outcome,
  type Position,
  type RegisterValue,
} from '../interpreter/index.ts';
import { disassembleInsn } from '../isa/disassembler.ts';
import type { ResolvedProgram } from '../object/resolved.ts';
import { MAP_KEY_SIZE } from '../plane/layout/map.ts';
import type { EngineProgram, LoadedPrograms } from './engine.ts';
import { ProgramFault } from './fault.ts';
import { isTrap, leaveEpochs, takeMemoryFault } from './memory-fault.ts';
import type { Runtime } from './runtime.ts';

export interface InterpreterOptions {
  /** Instructions that one run may take before it is stopped. */
  readonly budget: number;
}

/** A program with what its type lets it see; without a declaration it is raw: r1 is memory, r2 its length. */
export interface InterpretedProgram {
  readonly program: ResolvedProgram;
  readonly declaration: ProgramDeclaration | undefined;
}

const interpreters = new WeakMap<Runtime, Interpreter>();

/** The runtime's interpreter, made at the first call and kept for the life of the runtime. */
export function interpreterOf(runtime: Runtime): Interpreter {
  let interpreter = interpreters.get(runtime);
  if (interpreter === undefined) {
    const { memory, table, worker } = runtime.plane;
    interpreter = new Interpreter({
      memory,
      table,
      worker,
      functions: runtime.functions,
      allocate: (bytes) => runtime.allocatePages(bytes),
      free: (address, bytes) => runtime.freePages(address, bytes),
      reserveEntries: (count) => runtime.reserveEntries(count),
      releaseEntries: (index, count) => runtime.releaseEntries(index, count),
    });
    interpreters.set(runtime, interpreter);
    const own = interpreter;
    runtime.timers.interpret = (image, index, { map, key, value }) => {
      const size = runtime.view().getUint32(map + MAP_KEY_SIZE, true);
      const args: Argument[] = [
        { kind: 'map', address: map },
        { kind: 'memory', address: key, size, readOnly: true },
        { kind: 'map_value', address: value, map },
      ];
      const outcome = own.runCallback(image, index, args, { uninitialisedStack: true });
      if (outcome.kind === 'fault')
        throw new ProgramFault(outcome.fault.code, outcome.fault.program, describeFault(outcome.fault));
    };
  }
  return interpreter;
}

/** Called before each instruction with where the run is; `registers` reads r0 to r10 as they are. */
export type StepObserver = (position: Position, registers: () => readonly (RegisterValue | undefined)[]) => void;

const observers = new WeakMap<Runtime, StepObserver>();

/**
 * Lets `observer` see every instruction that the runtime's interpreter runs, until it is called with undefined. Callbacks that helpers
 * of the plane make (bpf_for_each_map_elem, timers) run within one step. Costs a call into JavaScript an instruction.
 */
export function observeSteps(runtime: Runtime, observer: StepObserver | undefined): void {
  if (observer === undefined) observers.delete(runtime);
  else observers.set(runtime, observer);
}

export async function loadIntoInterpreter(
  runtime: Runtime,
  programs: readonly InterpretedProgram[],
  options: InterpreterOptions,
): Promise<LoadedPrograms> {
  const interpreter = interpreterOf(runtime);
  const base = runtime.reserveEntries(programs.length);
  const images: LoadedImage[] = [];
  const end = () => {
    for (const [i, image] of images.entries()) {
      interpreter.setTailTarget(base + i, undefined);
      interpreter.unload(image);
    }
    runtime.releaseEntries(base, programs.length);
  };
  try {
    const loaded = new Map<string, EngineProgram>();
    for (const [i, { program, declaration }] of programs.entries()) {
      const image = interpreter.load(program, {
        ...(declaration === undefined ? {} : { context: declaration.context }),
      });
      images.push(image);
      interpreter.setTailTarget(base + i, image);
      loaded.set(
        program.name,
        new InterpretedExecutable(runtime, interpreter, image, base + i, declaration !== undefined, options.budget),
      );
    }
    let closed = () => {};
    const callbacks = images.map((image) => ({ first: BigInt(image.address) << 32n, count: 0xffff_ffff }));
    const release = runtime.lives.add(base, programs.length, callbacks, () => {
      end();
      closed();
    });
    return {
      programs: loaded,
      close: (gone = () => {}) => {
        closed = gone;
        release();
      },
    };
  } catch (error) {
    end();
    throw error;
  }
}

class InterpretedExecutable implements EngineProgram {
  readonly entry = 0;
  readonly tailEntry: number;
  readonly #runtime: Runtime;
  readonly #interpreter: Interpreter;
  readonly #image: LoadedImage;
  readonly #hooked: boolean;
  readonly #budget: number;

  constructor(
    runtime: Runtime,
    interpreter: Interpreter,
    image: LoadedImage,
    tailEntry: number,
    hooked: boolean,
    budget: number,
  ) {
    this.tailEntry = tailEntry;
    this.#runtime = runtime;
    this.#interpreter = interpreter;
    this.#image = image;
    this.#hooked = hooked;
    this.#budget = budget;
  }

  run(address = 0, size = 0): bigint {
    const shared = { budget: this.#budget, uninitialisedStack: true };
    const options = this.#hooked ? shared : { ...shared, packet: { address, size } };
    const args: readonly Argument[] = this.#hooked ? [{ kind: 'context', address }] : rawArguments(address, size);
    const interpreter = this.#interpreter;
    const observer = observers.get(this.#runtime);
    const visit = (position: Position) => observer?.(position, () => interpreter.registers());
    const outcome = this.enter(() =>
      observer === undefined
        ? interpreter.run(this.#image, args, options)
        : interpreter.trace(this.#image, args, visit, options),
    );
    const result = this.#finish(outcome);
    this.#runtime.timers.arm();
    return result;
  }

  enter<T>(call: () => T): T {
    const { plane } = this.#runtime;
    const depth = plane.exports.epoch_depth();
    try {
      plane.exports.epoch_enter();
      const result = call();
      plane.exports.epoch_exit();
      return result;
    } catch (error) {
      const memory = takeMemoryFault(plane, this.#image.program.name, error);
      leaveEpochs(plane, depth);
      if (memory !== undefined) throw memory;
      if (!isTrap(error)) throw error;
      const { message } = error as Error; // a trap is one
      throw new ProgramFault('SLUICE_FAULT_TRAP', this.#image.program.name, `stopped by the sandbox (${message})`, {
        cause: error,
      });
    }
  }

  #finish(outcome: Outcome): bigint {
    if (outcome.kind === 'exit') return outcome.r0;
    const { fault } = outcome;
    const { program } = this.#image;
    // After a tail call the fault is in another program, whose instructions are not at hand.
    const insn = fault.program === program.name ? program.insns[fault.slot] : undefined;
    const text = insn === undefined ? undefined : disassembleInsn(insn, program.insns[fault.slot + 1]);
    throw new ProgramFault(fault.code, fault.program, describeFault(fault, text));
  }
}

function rawArguments(address: number, size: number): readonly Argument[] {
  return size === 0 ? [address, size] : [{ kind: 'memory', address, size }, size];
}
