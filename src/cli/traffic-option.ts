/** `--traffic`: what generated packets are. */
import { Option } from 'commander';
import { scenarioNames } from '../net/scenarios/index.ts';

export function trafficOption(): Option {
  return new Option('--traffic <kind>', 'what generated packets are').choices(['mix', ...scenarioNames]).default('mix');
}
