/** Everything that is known of one function before code is written. */

import { InputError } from '../errors.ts';
import { arenaOf, type ResolvedProgram } from '../object/resolved.ts';
import type { FunctionSpec } from '../object/spec.ts';
import { arenaWebs } from './arena.ts';
import { HELPER, THROW } from './call-plan.ts';
import { buildBlocks } from './cfg.ts';
import { flowGraph, isReducible } from './dominators.ts';
import type { Fact } from './fact.ts';
import { entryFacts, Facts } from './facts.ts';
import { inlineCalls } from './inline-calls.ts';
import { type Block, definition, FIRST_SLOT_REGISTER, NO_REGISTER, type Op, visitEndUses, visitUses } from './ir.ts';
import { Ranges } from './ranges.ts';
import { makeReducible } from './reducible.ts';
import { promoteSlots } from './stack-slots.ts';
import { unrollLoops } from './unroll.ts';
import { type Web, type WebCursor, Webs } from './webs.ts';

export interface FunctionAnalysis {
  readonly spec: FunctionSpec;
  readonly webs: Webs;
  readonly facts: Facts;
  readonly ranges: Ranges;
  /** Dispatch variables of reducible.ts. */
  readonly dispatchVariables: number;
  /** How many of r1 to r5 it reads. */
  readonly args: number;
  /** Slots of functions that it calls, and of those whose address it takes. */
  readonly calls: ReadonlySet<number>;
  readonly references: ReadonlySet<number>;
  /** It, or what it calls, uses a frame in memory. */
  readonly needsFrame: boolean;
  /** It, or what it calls, may make a tail call. */
  readonly mayTailCall: boolean;
  /** It, or what it calls or hands out as a callback, may throw. */
  readonly mayThrow: boolean;
  /** Webs that hold pointers into the program's arena, and the address of its header. */
  readonly arenaWebs: ReadonlySet<Web>;
  readonly arena: number;
  /** It has loops or calls functions of the program: what takes fuel. */
  readonly burnsFuel: boolean;
  isSuperfluous(op: Op, cursor: WebCursor): boolean;
}

export interface AnalysisOptions {
  readonly verified: boolean;
  kfuncArguments(name: string): number | undefined;
}

/** Analyses of all functions that the program's entry reaches, by slot, callees first. */
export function analyseProgram(program: ResolvedProgram, options: AnalysisOptions): Map<number, FunctionAnalysis> {
  const bySlot = new Map(program.functions.map((fn) => [fn.start, fn]));
  const done = new Map<number, Mutable>();
  const open = new Set<number>();
  const entry = program.functions[0];
  if (entry === undefined) throw new InputError('SLUICE_JIT_PROGRAM', 'no functions', { input: program.name });
  const visit = (slot: number): Mutable => {
    const known = done.get(slot);
    if (known !== undefined) return known;
    const spec = bySlot.get(slot);
    if (spec === undefined)
      throw new InputError('SLUICE_JIT_PROGRAM', `no function begins at slot ${slot}`, { input: program.name });
    open.add(slot);
    const blocks = buildBlocks(program, spec, {
      kfuncArguments: options.kfuncArguments,
      // A recursive call: whatever the callee reads is among r1 to r5.
      functionArguments: (target) => (open.has(target) ? 5 : visit(target).args),
    });
    const analysis = analyseFunction(program, spec, blocks, options, spec === entry);
    open.delete(slot);
    done.set(slot, analysis);
    for (const target of [...analysis.references]) if (!open.has(target)) visit(target);
    return analysis;
  };
  visit(entry.start);
  for (const { exceptionCallback, start } of program.functions) if (exceptionCallback === true) visit(start);
  spread(done, entry.start);
  return done;
}

type Mutable = { -readonly [K in keyof FunctionAnalysis]: FunctionAnalysis[K] };

/** What a function needs because of the functions that it calls. */
function spread(functions: ReadonlyMap<number, Mutable>, entry: number): void {
  const called = new Set<number>();
  for (const { calls, references } of functions.values())
    for (const slot of [...calls, ...references]) called.add(slot);
  // A tail call from a subprogram leaves its frame to the program that follows.
  for (const [slot, fn] of functions) if (fn.mayTailCall && (slot !== entry || called.has(slot))) fn.needsFrame = true;
  for (let changed = true; changed; ) {
    changed = false;
    for (const caller of functions.values()) {
      for (const slot of caller.calls) {
        const callee = functions.get(slot);
        if (callee === undefined) continue;
        if (callee.needsFrame && !caller.needsFrame) changed = caller.needsFrame = true;
        if (callee.mayTailCall && !caller.mayTailCall) changed = caller.mayTailCall = true;
      }
      for (const slot of [...caller.calls, ...caller.references])
        if (functions.get(slot)?.mayThrow === true && !caller.mayThrow) changed = caller.mayThrow = true;
    }
  }
}

function analyseFunction(
  program: ResolvedProgram,
  spec: FunctionSpec,
  given: readonly Block[],
  options: AnalysisOptions,
  isEntry: boolean,
): Mutable {
  let blocks = given;
  let graph = flowGraph(blocks);
  let dispatchVariables = 0;
  if (!isReducible(graph)) {
    const made = makeReducible(blocks);
    blocks = made.blocks;
    dispatchVariables = made.variables;
    graph = flowGraph(blocks);
  }
  const unrolled = unrollLoops(blocks, graph);
  if (unrolled !== blocks) {
    blocks = unrolled;
    graph = flowGraph(blocks);
  }
  const assumptions = {
    verified: options.verified && program.type !== undefined,
    type: program.type,
    entry: entryFacts(isEntry && program.type !== undefined),
  };
  let webs = new Webs(blocks, graph, FIRST_SLOT_REGISTER);
  let facts = new Facts(webs, assumptions);
  const inlined = inlineCalls(webs, facts);
  if (inlined !== blocks) {
    webs = new Webs(inlined, graph, FIRST_SLOT_REGISTER);
    facts = new Facts(webs, assumptions);
  }
  const promoted = promoteSlots(webs, facts);
  if (promoted !== undefined) {
    webs = new Webs(promoted.blocks, graph, promoted.registers);
  }
  const ranges = new Ranges(webs);
  facts = new Facts(webs, assumptions, ranges);
  let args = 0;
  for (let register = 1; register <= 5; register++) if (webs.isLive(0, register)) args = register;
  const analysis: Mutable = {
    spec,
    webs,
    facts,
    ranges,
    dispatchVariables,
    args,
    calls: new Set(),
    references: new Set(),
    needsFrame: false,
    mayTailCall: false,
    mayThrow: false,
    arenaWebs: arenaOf(program) === undefined ? new Set() : arenaWebs(webs),
    arena: arenaOf(program) ?? 0,
    burnsFuel: graph.order.some((block) =>
      graph.predecessors[block]!.some((from) => graph.position[from]! >= graph.position[block]!),
    ),
    isSuperfluous: (op, cursor) => isSuperfluous(facts, op, cursor),
  };
  collect(analysis);
  return analysis;
}

function collect(analysis: Mutable): void {
  const { webs, facts } = analysis;
  const calls = new Set<number>();
  const references = new Set<number>();
  for (const number of webs.graph.order) {
    const block = webs.blocks[number]!;
    const cursor = webs.cursor(number);
    const read = (register: number): void => {
      if (facts.of(cursor.web(register)).kind === 'frame') analysis.needsFrame = true;
    };
    for (const op of block.ops) {
      if (op.kind === 'function') references.add(op.target);
      if (op.kind === 'call') calls.add(op.target);
      if (op.kind === 'call' || op.kind === 'loop') analysis.burnsFuel = true;
      if (op.kind === 'loop') {
        if (op.target === undefined) analysis.needsFrame = true;
        else calls.add(op.target);
      }
      if (op.kind === 'kfunc' && op.name === THROW) analysis.mayThrow = true;
      if (op.kind === 'helper' && op.prototype.id === HELPER.TAIL_CALL) analysis.mayTailCall = true;
      if (isCall(op) && passesFunction(op, (register) => facts.of(cursor.web(register)))) analysis.needsFrame = true;
      if (!isSuperfluous(facts, op, cursor)) visitUses(op, read);
      cursor.step(op);
    }
    visitEndUses(block.end, read);
  }
  analysis.calls = calls;
  analysis.references = references;
}

type PlaneCall = Extract<Op, { kind: 'helper' | 'kfunc' }>;

function isCall(op: Op): op is PlaneCall {
  return op.kind === 'helper' || op.kind === 'kfunc';
}

/** The callee may call back into the program while it runs: it is given a function, or something that may be one. */
export function passesFunction(op: PlaneCall, fact: (register: number) => Fact): boolean {
  if (op.kind === 'helper' && op.prototype.args.includes('func')) return true;
  let passes = false;
  visitUses(op, (register) => {
    if (fact(register).kind === 'function') passes = true;
  });
  return passes;
}

/** An operation without effect but a value that nobody reads, or that is written out where it is read. */
function isSuperfluous(facts: Facts, op: Op, cursor: WebCursor): boolean {
  switch (op.kind) {
    case 'const':
    case 'function':
    case 'mov':
    case 'extend':
    case 'alu':
    case 'neg':
    case 'swap':
    case 'load':
      break;
    default:
      return false;
  }
  if (definition(op) === NO_REGISTER) return false;
  const web = cursor.defined();
  return !facts.isUsed(web) || facts.isRematerialised(web);
}
