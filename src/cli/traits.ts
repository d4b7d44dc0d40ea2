/** `sluice traits …`: names of packets' traits: what a registry file has, changes of it, and what bytes say. */
import type { Command } from 'commander';
import { type MergePolicy, mergePolicies, TRAIT_PERSISTENT } from '../traits/declaration.ts';
import type { TraitRegistry } from '../traits/registry.ts';
import { exportRegistry, importRegistry, registryText } from '../traits/registry-file.ts';
import { wellKnownTrait, wellKnownTraits } from '../traits/well-known.ts';
import { exitCode, UsageError } from './exit.ts';
import { choiceOption, integerOption } from './options.ts';
import { type Output, table } from './output.ts';
import { openRegistryFile, readRegistryFile, writeRegistryFile } from './registry-option.ts';
import { readInput, select } from './selector.ts';
import { writeText } from './text-file.ts';
import { addTraitsDecode, keyText } from './traits-decode.ts';
import type { Finish, Verb } from './verb.ts';

export const traitsVerb: Verb = (program, finish) => {
  const traits = program.command('traits').description("names of packets' traits (docs/metadata.md)");
  addList(traits, finish);
  addAdd(traits, finish);
  addRemove(traits, finish);
  addImport(traits, finish);
  addExport(traits, finish);
  addTraitsDecode(traits, finish);
};

function addList(traits: Command, finish: Finish): void {
  traits
    .command('list')
    .description('traits of a registry, and those of the system')
    .argument('[registry]', 'registry file; without one, those of the system alone')
    .option('--json', 'result as JSON (sluice.traits-list/1)')
    .action((path: string | undefined, options: { json?: boolean }) =>
      finish(options.json === true, (output) => {
        list(path, path === undefined ? undefined : readRegistryFile(path), output);
        return exitCode.yes;
      }),
    );
}

function list(path: string | undefined, registry: TraitRegistry | undefined, output: Output): void {
  const file = registry === undefined ? undefined : exportRegistry(registry);
  const rows = [['KEY', 'NAME', 'BYTES', 'POLICY', 'OWNER', '']];
  for (const { key, name, size, policy, owner, persistent } of file?.traits ?? [])
    rows.push([`${key}`, name, `${size}`, policy, owner || '-', persistent ? 'persistent' : '']);
  for (const { key, name, size, meaning } of wellKnownTraits)
    rows.push([keyText(key), name, `${size}`, '-', 'system', meaning]);
  for (const row of table(rows)) output.line(row);
  const freed = registry?.freed() ?? [];
  if (freed.length > 0) output.line(`freed: ${freed.map(({ key, epoch }) => `${key} (epoch ${epoch})`).join(', ')}`);
  output.document({
    schema: 'sluice.traits-list/1',
    registry: path ?? null,
    epoch: registry?.epoch ?? 0,
    traits: file?.traits ?? [],
    freed: freed.map(({ key, epoch }) => ({ key, epoch })),
    wellKnown: wellKnownTraits,
  });
}

interface AddOptions {
  readonly size?: number;
  readonly policy: MergePolicy;
  readonly key?: number;
  readonly owner?: string;
  readonly persistent?: boolean;
  readonly object?: string;
  readonly json?: boolean;
}

function addAdd(traits: Command, finish: Finish): void {
  traits
    .command('add')
    .description('registers a name, or all that an object declares; makes the file where there is none')
    .argument('<registry>', 'registry file')
    .argument('[name]', 'at most 16 bytes')
    .option('--size <bytes>', 'length of values: 0, 1, 2, 4, 8, 16', integerOption(0, 16))
    .option(
      '--policy <policy>',
      `where packets become one: ${Object.keys(mergePolicies).join(', ')}`,
      choiceOption(Object.keys(mergePolicies) as MergePolicy[]),
      'KEEP_FIRST' as const,
    )
    .option('--key <n>', 'the key that it shall have, 0 to 63; by default a free one', integerOption(0, 63))
    .option('--owner <text>', 'who it belongs to')
    .option('--persistent', 'it stays when the last object that uses it is closed')
    .option('--object <obj>', 'object file whose names to register, in place of a name')
    .option('--json', 'result as JSON (sluice.traits-add/1)')
    .action((path: string, name: string | undefined, options: AddOptions) =>
      finish(options.json === true, (output) => {
        if ((name === undefined) === (options.object === undefined))
          throw new UsageError('give a name with its --size, or --object OBJ');
        const registry = openRegistryFile(path);
        const requests = options.object === undefined ? [requestOf(name!, options)] : namesOf(options.object);
        const added = requests.map((request) => {
          const known = registry.get(request.name) !== undefined;
          const key = registry.register({
            ...request,
            ...(options.owner === undefined ? {} : { owner: options.owner }),
          });
          output.line(`${request.name}: key ${key}${known ? ', as before' : ''}`);
          return { name: request.name, key, known };
        });
        if (added.length === 0) output.line('the object names no traits of its own');
        writeRegistryFile(path, registry);
        output.document({ schema: 'sluice.traits-add/1', registry: path, traits: added });
        return exitCode.yes;
      }),
    );
}

function requestOf(name: string, { size, policy, key, persistent }: AddOptions) {
  if (size === undefined) throw new UsageError('--size is needed: how many bytes values have');
  const flags = persistent === true ? TRAIT_PERSISTENT : 0;
  return { name, size, policy, flags, ...(key === undefined ? {} : { key }) };
}

/** What the object declares, but for the system's; keys are the registry's to say. */
function namesOf(path: string) {
  const { object } = select(path);
  return object.traits
    .filter(({ name }) => wellKnownTrait(name) === undefined)
    .map(({ name, size, policy, flags }) => ({ name, size, policy, flags, owner: object.name }));
}

function addRemove(traits: Command, finish: Finish): void {
  traits
    .command('remove')
    .description('frees the keys of names: they are given out again when no other key is left')
    .argument('<registry>', 'registry file')
    .argument('<name...>')
    .option('--json', 'result as JSON (sluice.traits-remove/1)')
    .action((path: string, names: string[], options: { json?: boolean }) =>
      finish(options.json === true, (output) => {
        const registry = readRegistryFile(path);
        const removed = names.map((name) => {
          const key = registry.get(name)?.key;
          registry.unregister(name);
          return { name, key, epoch: registry.epoch };
        });
        writeRegistryFile(path, registry);
        for (const { name, key, epoch } of removed) output.line(`${name}: key ${key} is free since epoch ${epoch}`);
        output.document({ schema: 'sluice.traits-remove/1', registry: path, removed });
        return exitCode.yes;
      }),
    );
}

function addImport(traits: Command, finish: Finish): void {
  traits
    .command('import')
    .description('registers what another registry has, with its keys; all or nothing')
    .argument('<registry>', 'registry file; made where there is none')
    .argument('<from>', 'registry file that is read; - is standard input')
    .option('--json', 'result as JSON (sluice.traits-import/1)')
    .action((path: string, from: string, options: { json?: boolean }) =>
      finish(options.json === true, (output) => {
        const registry = openRegistryFile(path);
        const added = importRegistry(registry, new TextDecoder().decode(readInput(from)), from);
        writeRegistryFile(path, registry);
        output.line(`${added} new, ${registry.traits().length} in all`);
        output.document({ schema: 'sluice.traits-import/1', registry: path, added, traits: registry.traits().length });
        return exitCode.yes;
      }),
    );
}

function addExport(traits: Command, finish: Finish): void {
  traits
    .command('export')
    .description('a registry as JSON, or as a C header for programs that other loaders load')
    .argument('<registry>', 'registry file')
    .option('--format <format>', 'json, c', choiceOption(['json', 'c']), 'json' as const)
    .option('--out <file>', 'in place of standard output')
    .action((path: string, options: { format: 'json' | 'c'; out?: string }) =>
      finish(false, (output) => {
        const registry = readRegistryFile(path);
        const text = options.format === 'json' ? registryText(exportRegistry(registry)) : headerOf(registry);
        writeText(options.out, text, output);
        return exitCode.yes;
      }),
    );
}

/** Keys as numbers, for `trait_meta_*` in a program that is loaded without a registry. */
function headerOf(registry: TraitRegistry): string {
  const lines = registry.traits().map(({ name, key, size, policy }) => {
    const word = name.replace(/[^A-Za-z0-9]/g, '_').toUpperCase();
    return `#define TRAIT_KEY_${word} ${key} /* ${name.replaceAll('*/', '* /')}: ${size} bytes, ${policy} */`;
  });
  return ["/* Keys of packets' traits: sluice traits export --format c */", '#pragma once', '', ...lines, ''].join(
    '\n',
  );
}
