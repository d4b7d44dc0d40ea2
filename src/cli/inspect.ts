/** `sluice inspect OBJ`: what an object holds and what it needs. */
import { helperNameFor } from '../abi/programs/index.ts';
import type { MapSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { TRAIT_PERSISTENT } from '../traits/declaration.ts';
import { SYSTEM_KEY } from '../traits/well-known.ts';
import { exitCode } from './exit.ts';
import { answerNeeds, printNeeds } from './inspect-needs.ts';
import { type Output, table } from './output.ts';
import { select } from './selector.ts';
import { keyText } from './traits-decode.ts';
import type { Verb } from './verb.ts';

export const inspectVerb: Verb = (program, finish) => {
  program
    .command('inspect')
    .description('sections, programs, maps, types, relocations, externs of an object, and what it needs')
    .argument('<obj>', 'object file, optionally with :program')
    .option('--json', 'result as JSON')
    .action((selector: string, options: { json?: boolean }) =>
      finish(options.json === true, (output) => {
        const { object, programs } = select(selector);
        const needs = answerNeeds(object, programs);
        print(object, programs, output);
        printNeeds(needs, output);
        output.document({ ...document(object, programs), needs });
        return exitCode.yes;
      }),
    );
};

function helpersOf(program: ProgramSpec): string[] {
  const ids = program.insns.filter((insn) => insn.opcode === 0x85 && insn.src === 0).map((insn) => insn.imm);
  return [...new Set(ids)].sort((a, b) => a - b).map((id) => helperNameFor(program.type, id) ?? `#${id}`);
}

function mapsOf(program: ProgramSpec): string[] {
  const names = [...program.references.values()].flatMap((each) =>
    each.kind === 'map' || each.kind === 'map-value' || each.kind === 'map-allocator' ? [each.map] : [],
  );
  return [...new Set(names)];
}

function print(object: ObjectSpec, programs: readonly ProgramSpec[], output: Output): void {
  const { bold } = output.colors;
  output.line(
    `${bold(object.name)}  license ${object.license || '(none)'}, BTF ${object.btf === undefined ? 'none' : `${object.btf.typeCount} types`}`,
  );

  output.line(`\n${bold('Programs')}`);
  const rows = [['NAME', 'SECTION', 'TYPE', 'INSNS', 'FUNCTIONS', 'CO-RE', 'MAPS']];
  for (const program of programs) {
    rows.push([
      program.name + (program.autoload ? '' : ' (not loaded unless asked for)'),
      program.section,
      program.type ?? '?',
      String(program.insns.length),
      String(program.functions.length),
      String(program.coreRelocations.length),
      mapsOf(program).join(' ') || '-',
    ]);
  }
  for (const row of table(rows)) output.line(`  ${row}`);
  for (const program of programs) output.line(`  ${program.name} calls ${helpersOf(program).join(' ') || 'no helper'}`);

  output.line(`\n${bold('Maps')}`);
  const maps = [['NAME', 'TYPE', 'KEY', 'VALUE', 'ENTRIES', 'FLAGS', 'SECTION']];
  for (const map of object.maps.values()) {
    maps.push([
      map.name,
      map.type,
      String(map.keySize),
      String(map.valueSize),
      String(map.maxEntries),
      `0x${map.flags.toString(16)}`,
      map.section,
    ]);
  }
  for (const row of table(maps)) output.line(`  ${row}`);

  for (const line of allocatorLines(object)) output.line(`  ${line}`);

  if (object.externs.size > 0) {
    output.line(`\n${bold('Externs')}`);
    for (const extern of object.externs.values()) {
      output.line(
        `  ${extern.name}  ${extern.section}${extern.function ? ' function' : ''}${extern.weak ? ' weak' : ''}`,
      );
    }
  }

  if (object.traits.length > 0) {
    output.line(`\n${bold('Traits')}`);
    const traits = [['NAME', 'BYTES', 'POLICY', 'KEY']];
    for (const { name, size, policy, flags, key } of object.traits) {
      const known = key >= SYSTEM_KEY;
      traits.push([
        name,
        String(size),
        known ? '-' : `${policy}${(flags & TRAIT_PERSISTENT) === 0 ? '' : ' persistent'}`,
        known ? keyText(key) : 'of the registry',
      ]);
    }
    for (const row of table(traits)) output.line(`  ${row}`);
  }

  output.line(`\n${bold('Sections')}`);
  const sections = [['INDEX', 'NAME', 'TYPE', 'OFFSET', 'SIZE']];
  for (const section of object.sections) {
    sections.push([
      String(section.index),
      section.name,
      String(section.type),
      String(section.offset),
      String(section.size),
    ]);
  }
  for (const row of table(sections)) output.line(`  ${row}`);
}

/** Which allocators maps name, and what quotas say. */
function allocatorLines(object: ObjectSpec): string[] {
  const quota = ({ maxEntries, mapExtra }: MapSpec) =>
    mapExtra !== 0n ? `quota ${mapExtra} bytes` : maxEntries > 0 ? `quota ${maxEntries} objects` : 'no quota';
  return [...object.maps.values()].flatMap((map) => [
    ...(map.type === 'allocator' ? [`${map.name}: ${quota(map)}`] : []),
    ...Object.entries(map.allocators ?? {}).map(
      ([part, named]) =>
        `${map.name}.${part}_allocator: ${named.kind === 'map' ? named.map : `its own, ${quota(named.definition)}`}`,
    ),
  ]);
}

function document(object: ObjectSpec, programs: readonly ProgramSpec[]) {
  return {
    schema: 'sluice.inspect/1',
    object: object.name,
    license: object.license,
    btfTypes: object.btf?.typeCount ?? 0,
    programs: programs.map((program) => ({
      name: program.name,
      section: program.section,
      type: program.type ?? null,
      attachType: program.attachType ?? null,
      autoload: program.autoload,
      insns: program.insns.length,
      functions: program.functions.map(({ name, start, length, linkage }) => ({ name, start, length, linkage })),
      coreRelocations: program.coreRelocations.length,
      helpers: helpersOf(program),
      maps: mapsOf(program),
      references: [...program.references].map(([slot, reference]) => ({ slot, ...reference })),
    })),
    maps: [...object.maps.values()].map(
      ({ name, type, keySize, valueSize, maxEntries, flags, mapExtra, section, allocators }) => ({
        name,
        type,
        keySize,
        valueSize,
        maxEntries,
        flags,
        mapExtra,
        section,
        ...(allocators === undefined ? {} : { allocators }),
      }),
    ),
    externs: [...object.externs.values()],
    traits: object.traits.map(({ name, size, policy, flags, key }) => ({
      name,
      size,
      policy,
      persistent: (flags & TRAIT_PERSISTENT) !== 0,
      // Others are for the registry to say.
      key: key >= SYSTEM_KEY ? key : null,
    })),
    sections: object.sections,
  };
}
