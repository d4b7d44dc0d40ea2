/** What the thread of a CPU does: items of its inbox, which the plane runs, and what its owner asks for; else it sleeps. */
import { InputError, InternalError } from '../../errors.ts';
import { INBOX_DOORBELL, INBOX_MAIL, STOPPED_BUDGET, STOPPED_MEMORY, STOPPED_TRAP } from '../../plane/layout/cpu.ts';
import { WORKER_FUEL, WORKER_INBOX, WORKER_STACK_TOP } from '../../plane/layout/worker.ts';
import { CpuTimers } from '../cpu-timers.ts';
import type { EngineProgram } from '../engine.ts';
import type { Hook } from '../hook.ts';
import { dropPrograms, instantiateModule } from '../jit-engine.ts';
import { leaveEpochs, takeMemoryFault } from '../memory-fault.ts';
import type { PlaneExports, PlaneInstance } from '../plane.ts';
import { Runtime } from '../runtime.ts';
import type { CpuAsk, CpuPort, CpuThreadData } from './mail.ts';
import { sentError } from './sent-error.ts';

/** Items before the thread looks at its messages. */
const TURN = 256;

export class CpuThread {
  readonly #runtime: Runtime;
  readonly #plane: PlaneInstance;
  readonly #calls: PlaneExports;
  readonly #port: CpuPort;
  readonly #hooks: readonly Hook[];
  readonly #programs = new Map<number, EngineProgram>();
  /** The memory as it is when the thread begins: the inbox lies in it. */
  readonly #words: Int32Array;
  readonly #inbox: number;
  readonly #timers: CpuTimers;
  #begun = false;
  /** INBOX_MAIL when the messages were last read. */
  #mail = -1;

  constructor({ memory, plane, cpu, timeOrigin }: CpuThreadData, port: CpuPort, hooks: readonly Hook[]) {
    const offset = performance.timeOrigin - timeOrigin;
    this.#runtime = new Runtime({
      joins: { memory, cpu, plane },
      now: () => (performance.now() + offset) * 1e6,
    });
    this.#plane = this.#runtime.plane;
    this.#calls = this.#plane.exports;
    this.#port = port;
    this.#hooks = hooks;
    this.#inbox = this.#plane.view().getUint32(this.#plane.worker + WORKER_INBOX, true);
    this.#words = new Int32Array(memory.buffer);
    this.#timers = new CpuTimers(this.#plane, {
      onFault: (fault) => port.post({ kind: 'fault', error: sentError(fault) }),
      onPassed: () => port.post({ kind: 'timers' }),
    });
  }

  /** Until the owner ends it. */
  run(): void {
    this.#port.post({ kind: 'ready' });
    for (;;) {
      if (this.#hasMail() && this.#readMail()) return;
      const done = this.#begun ? this.#turn() : 0;
      const ns = this.#timers.fire();
      if (done === 0 && ns !== 0) this.#sleep(ns / 1e6);
    }
  }

  #word(offset: number): number {
    return Atomics.load(this.#words, (this.#inbox + offset) / 4);
  }

  #hasMail(): boolean {
    return this.#word(INBOX_MAIL) !== this.#mail;
  }

  /** @param ms for so long at most. */
  #sleep(ms: number): void {
    const doorbell = this.#word(INBOX_DOORBELL);
    if (this.#calls.cpu_sleeps() !== 0 && !this.#hasMail())
      Atomics.wait(this.#words, (this.#inbox + INBOX_DOORBELL) / 4, doorbell, ms);
    this.#calls.cpu_wakes();
  }

  #turn(): number {
    const { worker } = this.#plane;
    const view = this.#plane.view();
    const stackTop = view.getUint32(worker + WORKER_STACK_TOP, true);
    try {
      return this.#calls.cpu_turn(TURN);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError)) throw error;
      const memory = takeMemoryFault(this.#plane, `on CPU ${this.#plane.cpu}`, error);
      leaveEpochs(this.#plane, 0);
      view.setUint32(worker + WORKER_STACK_TOP, stackTop, true);
      const exhausted = view.getUint32(worker + WORKER_FUEL, true) === 0;
      const why = memory !== undefined ? STOPPED_MEMORY : exhausted ? STOPPED_BUDGET : STOPPED_TRAP;
      if (this.#calls.cpu_stopped(why) === 0) throw error;
      this.#port.post({ kind: 'fault', error: sentError(memory ?? error) });
      return 1;
    }
  }

  /** True: the thread is to end. */
  #readMail(): boolean {
    this.#mail = this.#word(INBOX_MAIL);
    for (let request = this.#port.take(); request !== undefined; request = this.#port.take()) {
      const { number, ask } = request;
      try {
        const result = this.#do(ask);
        this.#port.post({ kind: 'answer', number, result });
        if (ask.kind === 'stop') return true;
      } catch (error) {
        this.#port.post({ kind: 'failed', number, error: sentError(error) });
      }
    }
    return false;
  }

  #do(ask: CpuAsk): unknown {
    switch (ask.kind) {
      case 'load':
        for (const program of instantiateModule(this.#runtime, ask.module).values())
          this.#programs.set(program.entry, program);
        return undefined;
      case 'unload': {
        const { base, size } = ask.module;
        for (let entry = base; entry < base + size; entry++) this.#programs.delete(entry);
        dropPrograms(this.#plane, ask.module);
        return undefined;
      }
      case 'run':
        return this.#run(ask);
      case 'call':
        return this.#call(ask.name, ask.args);
      case 'begin':
        this.#begun = true;
        return undefined;
      case 'stop':
        // What it was given before it does.
        while (this.#begun && this.#turn() > 0) {}
        // What waits for an epoch is not to wait for a CPU that has gone.
        this.#calls.epoch_enter();
        this.#calls.epoch_exit();
        return undefined;
    }
  }

  #run({ entry, type, input }: CpuAsk & { readonly kind: 'run' }): unknown {
    const program = this.#programs.get(entry);
    const hook = this.#hooks.find(({ declaration }) => declaration.type === type);
    if (program === undefined || hook === undefined)
      throw new InputError('SLUICE_CPU_PROGRAM', `CPU ${this.#plane.cpu} has no such program: was its object closed?`);
    return hook.testRun(this.#runtime, program, input);
  }

  #call(name: string, args: readonly (number | bigint)[]): unknown {
    const called = this.#calls[name] as ((...args: readonly (number | bigint)[]) => unknown) | undefined; // numbers, all of them
    if (called === undefined) throw new InternalError(`the plane has no ${name}`);
    const depth = this.#calls.epoch_depth();
    try {
      this.#calls.epoch_enter();
      const result = called(...args);
      this.#calls.epoch_exit();
      return result;
    } catch (error) {
      leaveEpochs(this.#plane, depth);
      throw error;
    }
  }
}
