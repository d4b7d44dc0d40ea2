/** `--rss FILE`: receive-side scaling as JSON; `--context N=FILE` and `--rule RULE`: RSS contexts and what chooses them. */
import { type Command, InvalidArgumentError } from 'commander';
import type { RssConfiguration } from '../net/rss/configuration.ts';
import { type FlowRule, formatFlowRule, parseFlowRule } from '../net/rss/flow-rules.ts';
import { rssFromJson } from '../net/rss/json.ts';
import { UsageError } from './exit.ts';
import { parsedOption } from './options.ts';
import { readJson } from './selector.ts';

/** Throws InputError `SLUICE_STEER_RSS`, `SLUICE_RSS_CONFIGURATION`, and those of reading. */
export function readRssConfiguration(path: string, queues: number): RssConfiguration {
  return rssFromJson(readJson(path), path, queues);
}

export interface ContextOptions {
  readonly context?: ReadonlyMap<number, string>;
  readonly rule?: readonly FlowRule[];
}

export function addContextOptions(command: Command): Command {
  return command
    .option(
      '--context <n=config.json>',
      'RSS context 1 to 31, with receive-side scaling of its own as --rss has it; may be given several times',
      contextOption,
    )
    .option(
      '--rule <rule>',
      "chooses a context, as ethtool -N: 'flow-type tcp4 src-ip 10.0.0.0/8 dst-port 443 context 1'; several are tried in order",
      (text: string, before: readonly FlowRule[] = []) => [...before, rule(text)],
    );
}

const rule = parsedOption(parseFlowRule);

function contextOption(text: string, before: ReadonlyMap<number, string> = new Map()): ReadonlyMap<number, string> {
  const [, number, path] = /^(\d+)=(.+)$/.exec(text) ?? [];
  const id = Number(number);
  if (path === undefined || id < 1 || id > 31)
    throw new InvalidArgumentError('must be N=CONFIG.json, with N from 1 to 31.');
  if (before.has(id)) throw new InvalidArgumentError(`context ${id} is given twice.`);
  return new Map([...before, [id, path]]);
}

/** For the options of Steering. Throws UsageError for a rule whose context is not given. */
export function contextsOf({ context = new Map(), rule = [] }: ContextOptions, queues: number) {
  const missing = rule.find((each) => !context.has(each.context));
  if (missing !== undefined)
    throw new UsageError(`--rule '${formatFlowRule(missing)}': give --context ${missing.context}=CONFIG.json as well`);
  return {
    contexts: new Map([...context].map(([id, path]) => [id, readRssConfiguration(path, queues)] as const)),
    rules: rule,
  };
}
