/** A program from its functions: the entry first, then what it reaches, in the order in which libbpf appends them. */
import { sectionMeaning } from '../abi/section-names.ts';
import type { BtfExt } from '../btf/ext.ts';
import type { Btf } from '../btf/types.ts';
import type { InputError } from '../errors.ts';
import type { Insn } from '../isa/insn.ts';
import { LDDW_SOURCE, OPCODE } from '../isa/opcodes.ts';
import type { CodeFunction } from './code.ts';
import type { Elf } from './elf.ts';
import { readJumpTable } from './jump-tables.ts';
import { localTarget, relocatedTarget, type Target, type Targets } from './references.ts';
import type { CoreRelocation, FunctionSpec, LineInfo, MapSpec, ProgramSpec, Reference } from './spec.ts';
import { keyWords, traitsOf } from './traits.ts';

/** BPF_COMPLEXITY_LIMIT_INSNS: the kernel takes no longer program. */
const MAX_PROGRAM_SLOTS = 1_000_000;
/** Over all programs of an object, in slots: each has its own copy of the subprograms that it reaches. */
const MAX_OBJECT_SLOTS = 8_000_000;
/** What a source line or relocation weighs against a slot, which is only a reference. */
const RECORD_WEIGHT = 4;

export interface LinkedProgram {
  readonly program: ProgramSpec;
  /** Maps of the jump tables that it uses. */
  readonly jumpTables: readonly MapSpec[];
}

/** Links one program after the other; what they take together is bounded. */
export class Linker {
  readonly #elf: Elf;
  readonly #targets: Targets;
  readonly #ext: BtfExt | undefined;
  /** Names of exception callbacks by BTF id of the program's function. */
  readonly #exceptionCallbacks: ReadonlyMap<number, string>;
  /** Targets of a function's instructions by slot within its section: the same in every program. */
  readonly #scanned = new Map<CodeFunction, ReadonlyMap<number, Target>>();
  #items = 0;

  constructor(elf: Elf, targets: Targets, ext: BtfExt | undefined, btf: Btf | undefined) {
    this.#elf = elf;
    this.#targets = targets;
    this.#ext = ext;
    this.#exceptionCallbacks = exceptionCallbacks(btf);
  }

  /** Throws InputError for references that cannot be resolved and programs that are too long. */
  link(entry: CodeFunction): LinkedProgram {
    const order = this.#reachable(entry);
    const exceptionCallback = this.#exceptionCallback(entry);
    if (exceptionCallback !== undefined)
      for (const one of this.#reachable(exceptionCallback)) if (!order.includes(one)) order.push(one);
    const starts = new Map<CodeFunction, number>();
    let length = 0;
    for (const one of order) {
      starts.set(one, length);
      length += one.length;
    }
    if (length > MAX_PROGRAM_SLOTS)
      throw this.#tooLarge(entry, `program ${entry.name} has ${length} slots, more than ${MAX_PROGRAM_SLOTS}`);
    this.#count(entry, length);

    const insns: Insn[] = [];
    const references = new Map<number, Reference>();
    const callbacks = new Set<CodeFunction>();
    const tables = new Map<string, MapSpec>();
    const coreRelocations: CoreRelocation[] = [];
    const lines: LineInfo[] = [];
    for (const one of order) {
      const base = starts.get(one)! - one.start;
      for (let slot = one.start; slot < one.start + one.length; slot++) insns.push(one.code.insns[slot]!);
      for (const [slot, target] of this.#scan(one)) {
        const at = base + slot;
        const insn = one.code.insns[slot]!;
        const set = (imm: number, high = 0) => {
          insns[at] = { ...insn, src: target.source, imm };
          if (insn.opcode === OPCODE.LDDW) insns[at + 1] = { ...one.code.insns[slot + 1]!, imm: high };
        };
        switch (target.kind) {
          case 'function': {
            const to = starts.get(target.function)!;
            set(to - at - 1);
            const callback = target.source === LDDW_SOURCE.FUNCTION && insn.opcode === OPCODE.LDDW;
            if (callback) callbacks.add(target.function);
            references.set(at, { kind: callback ? 'function' : 'call', name: target.function.name, target: to });
            break;
          }
          case 'jump-table': {
            set(0);
            const name = `${target.name}/${entry.name}`;
            if (!tables.has(name)) {
              this.#count(entry, target.size / 8);
              tables.set(name, readJumpTable(this.#elf, this.#targets.jumpTables, target, one, base, entry.name, name));
            }
            references.set(at, { kind: 'map-value', map: name, offset: target.offset });
            break;
          }
          case 'reference':
            set(...keyWords(target.value ?? 0n));
            references.set(at, target.reference);
            break;
        }
      }
      this.#appendInfo(one, base, coreRelocations, lines);
      this.#count(entry, 0, (coreRelocations.length + lines.length) * RECORD_WEIGHT);
    }
    this.#items += (coreRelocations.length + lines.length) * RECORD_WEIGHT;

    const section = entry.code.section.name.replace(/^\?/, '');
    const meaning = sectionMeaning(section);
    const program: ProgramSpec = {
      name: entry.name,
      section,
      autoload: section === entry.code.section.name,
      type: meaning?.type,
      attachType: meaning?.attachType,
      attachTo: meaning?.attachTo,
      sleepable: meaning?.sleepable ?? false,
      frags: meaning?.frags ?? false,
      insns,
      functions: order.map(
        (one): FunctionSpec => ({
          name: one.name,
          start: starts.get(one)!,
          length: one.length,
          linkage: one.linkage,
          btfId: this.#functionType(one),
          callback: callbacks.has(one),
          ...(one === exceptionCallback ? { exceptionCallback: true } : undefined),
        }),
      ),
      references,
      coreRelocations,
      lines,
      ...(this.#targets.traits.index < 0 ? undefined : { traits: traitsOf(this.#targets.traits) }),
    };
    return { program, jumpTables: [...tables.values()] };
  }

  /** Depth first in the order of the instructions, without recursion: the depth of calls is the file's to choose. */
  #reachable(entry: CodeFunction): CodeFunction[] {
    const seen = new Set([entry]);
    const stack = [this.#callees(entry)];
    while (stack.length > 0) {
      const next = stack[stack.length - 1]!.next();
      if (next.done) stack.pop();
      else if (!seen.has(next.value)) {
        seen.add(next.value);
        stack.push(this.#callees(next.value));
      }
    }
    return [...seen];
  }

  *#callees(caller: CodeFunction): Generator<CodeFunction, undefined> {
    for (const target of this.#scan(caller).values()) if (target.kind === 'function') yield target.function;
    return undefined;
  }

  #scan(one: CodeFunction): ReadonlyMap<number, Target> {
    let found = this.#scanned.get(one);
    if (found !== undefined) return found;
    const { code } = one;
    const targets = new Map<number, Target>();
    const end = one.start + one.length;
    for (let slot = one.start; slot < end; slot++) {
      const wide = code.insns[slot]!.opcode === OPCODE.LDDW;
      if (wide && slot + 1 >= end) throw this.#elf.fault('a 16-byte instruction is cut off', code.section, slot * 8);
      const relocation = code.relocations.get(slot);
      const target =
        relocation === undefined
          ? localTarget(this.#elf, code, slot)
          : relocatedTarget(this.#elf, this.#targets, code, slot, relocation);
      if (target !== undefined) targets.set(slot, target);
      if (!wide) continue;
      slot++;
      const inside = code.relocations.get(slot);
      if (inside !== undefined)
        throw this.#elf.fault(
          `relocation against ${inside.symbol.name} of the second half of an instruction`,
          code.section,
          slot * 8,
          'SLUICE_RELOCATION',
        );
    }
    found = targets;
    this.#scanned.set(one, found);
    return found;
  }

  #appendInfo(one: CodeFunction, base: number, core: CoreRelocation[], lines: LineInfo[]): void {
    const { section } = one.code;
    for (const { offset, kind, typeId, access } of within(this.#ext?.coreRelocations.get(section.name), one)) {
      if (offset % 8 !== 0)
        throw this.#elf.fault('CO-RE relocation inside an instruction', section, offset, 'SLUICE_RELOCATION');
      core.push({ slot: base + offset / 8, typeId, access, kind });
    }
    // Thousands of them: the members by name, as V8 copies the rest of an object slowly.
    for (const { offset, file, text, line, column } of within(this.#ext?.lines.get(section.name), one)) {
      if (offset % 8 !== 0) throw this.#elf.fault('line info inside an instruction', section, offset);
      lines.push({ slot: base + offset / 8, file, text, line, column });
    }
  }

  #functionType(one: CodeFunction): number | undefined {
    return within(this.#ext?.functions.get(one.code.section.name), one).find((info) => info.offset === one.start * 8)
      ?.typeId;
  }

  /** libbpf appends it to the program, although nothing calls it. */
  #exceptionCallback(entry: CodeFunction): CodeFunction | undefined {
    const type = this.#functionType(entry);
    const name = type === undefined ? undefined : this.#exceptionCallbacks.get(type);
    if (name === undefined) return undefined;
    for (const { functions } of this.#targets.code.values())
      for (const one of functions.values()) if (one.name === name && one.linkage === 'global') return one;
    throw this.#elf.fault(
      `there is no global function ${name}, the exception callback of program ${entry.name}`,
      entry.code.section,
      entry.start * 8,
      'SLUICE_CALL_TARGET',
    );
  }

  #count(entry: CodeFunction, items: number, pending = 0): void {
    this.#items += items;
    if (this.#items + pending > MAX_OBJECT_SLOTS)
      throw this.#tooLarge(entry, `all programs together are too large, at program ${entry.name}`);
  }

  #tooLarge(entry: CodeFunction, message: string): InputError {
    return this.#elf.fault(message, entry.code.section, entry.start * 8, 'SLUICE_OBJECT_TOO_LARGE');
  }
}

const EXCEPTION_CALLBACK = 'exception_callback:';

function exceptionCallbacks(btf: Btf | undefined): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (let id = 1; btf !== undefined && id < btf.typeCount; id++) {
    const type = btf.type(id);
    if (type?.kind === 'decl_tag' && type.name.startsWith(EXCEPTION_CALLBACK))
      names.set(type.type, type.name.slice(EXCEPTION_CALLBACK.length));
  }
  return names;
}

/** The records of a function, out of those of its section, which are in order. */
function within<T extends { readonly offset: number }>(
  records: readonly T[] | undefined,
  one: CodeFunction,
): readonly T[] {
  if (records === undefined) return [];
  return records.slice(firstFrom(records, one.start * 8), firstFrom(records, (one.start + one.length) * 8));
}

function firstFrom(records: readonly { readonly offset: number }[], offset: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (records[middle]!.offset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
