/** Parsers of option values; what they refuse is a usage error that names the option. */
import { InvalidArgumentError } from 'commander';
import { InputError } from '../errors.ts';

export function integerOption(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = /^(0x[0-9a-fA-F]+|\d+)$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= from && value <= to)) throw new InvalidArgumentError(`must be an integer from ${from} to ${to}.`);
    return value;
  };
}

/** What a parser of input takes; the InputError of one that it refuses says what is wrong. */
export function parsedOption<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      if (error instanceof InputError) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
}

/** A comma-separated list of words out of `choices`. */
export function listOption<T extends string>(choices: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((word) => {
      const found = choices.find((choice) => choice === word.trim());
      if (found === undefined) throw new InvalidArgumentError(`must be out of ${choices.join(', ')}.`);
      return found;
    });
}

/** One word out of `choices`. */
export function choiceOption<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new InvalidArgumentError(`must be one of ${choices.join(', ')}.`);
    return found;
  };
}

/** Seconds, with a fraction or without. */
export function secondsOption(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value > 0 && value <= 2_000_000)) throw new InvalidArgumentError('must be a number of seconds above 0.');
  return value;
}
