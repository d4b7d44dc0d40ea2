/** What an object was built against, read off its bytes: it needs these to be there, and to be what they were. */
import { helperNameIn } from '../abi/context-access.ts';
import { iouringHelpers } from '../abi/helpers/iouring.ts';
import type { ProgramDeclaration } from '../abi/program-declaration.ts';
import { programDeclarations } from '../abi/programs/index.ts';
import { type InterfaceKind, ownHelperName } from '../abi/stability/interfaces.ts';
import { CALL_SOURCE, OPCODE } from '../isa/opcodes.ts';
import { isPoisonedHelper } from './resolved.ts';
import type { ObjectSpec, ProgramSpec } from './spec.ts';

export interface Need {
  readonly kind: InterfaceKind;
  /** As an Interface has it; `#N` for a helper that nobody knows. */
  readonly name: string;
  /** Names of the programs that need it. */
  readonly programs: readonly string[];
  /** The object does without, if it is not there: every reference is weak, and each program that calls it asks whether it is there. */
  readonly weak: boolean;
  /** How it is declared, of a kfunc in an object with BTF (abi/stability/shape.ts). */
  readonly shape?: string;
}

function helperNeed(declaration: ProgramDeclaration | undefined, id: number): string {
  const own = declaration?.type === 'iouring' ? iouringHelpers.find((each) => each.id === id) : undefined;
  return own === undefined ? (helperNameIn(declaration, id) ?? `#${id}`) : ownHelperName(own);
}

/**
 * In the order of programs. Fields of contexts are in the instructions as offsets from a pointer that only the verifier knows:
 * @param contextFields of a program that was accepted; those of the others are not in the list.
 */
export function needsOf(
  object: ObjectSpec,
  programs: readonly ProgramSpec[] = [...object.programs.values()],
  contextFields: (program: ProgramSpec) => readonly string[] | undefined = () => undefined,
): readonly Need[] {
  const needs = new Map<string, Need>();
  const add = (program: ProgramSpec, kind: InterfaceKind, name: string, weak = false, shape?: string) => {
    const key = `${kind} ${name} ${shape ?? ''}`;
    const before = needs.get(key);
    needs.set(key, {
      kind,
      name,
      programs: [...new Set([...(before?.programs ?? []), program.name])],
      weak: weak && before?.weak !== false,
      ...(shape === undefined ? undefined : { shape }),
    });
  };
  for (const program of programs) {
    const declaration = program.type === undefined ? undefined : programDeclarations.get(program.type);
    if (declaration !== undefined) {
      add(program, 'program type', declaration.type);
      for (const field of contextFields(program) ?? [])
        add(program, 'context field', `${declaration.type}/${declaration.context.struct}.${field}`);
    }
    for (const { opcode, src, imm } of program.insns)
      if (opcode === OPCODE.CALL && src === CALL_SOURCE.HELPER && !isPoisonedHelper(imm))
        add(program, 'helper', helperNeed(declaration, imm));
    // What a program tests for it takes the address of.
    const asked = new Set(
      [...program.references.values()].flatMap((each) => (each.kind === 'ksym' ? [each.name] : [])),
    );
    for (const reference of program.references.values()) {
      if (reference.kind === 'kfunc')
        add(program, 'kfunc', reference.name, reference.weak && asked.has(reference.name), reference.shape);
      const map = 'map' in reference ? object.maps.get(reference.map) : undefined;
      if (map !== undefined) add(program, 'map type', map.type);
    }
  }
  return [...needs.values()];
}
