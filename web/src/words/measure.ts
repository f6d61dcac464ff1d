/** Figures of an alert: the station names them with their unit, for example `radius_m`. */

const UNITS = [
  ['_per_m2', 'perSquareMetre'],
  ['_mps', 'metresPerSecond'],
  ['_percent', 'percent'],
  ['_m2', 'squareMetres'],
  ['_s', 'seconds'],
  ['_m', 'metres'],
] as const

export type Unit = (typeof UNITS)[number][1]

export interface Figure {
  /** The name without its unit: what to show where no translation exists. */
  plainName: string
  value: string
  unit: Unit | null
}

const FIRST = 'people'

/** The figures in the order of interest: how many people comes first. */
export function figures(measure: Readonly<Record<string, number>>): [key: string, value: number][] {
  return Object.entries(measure).sort(([a], [b]) => Number(b === FIRST) - Number(a === FIRST))
}

/** Splits the unit off a figure's name and rounds its value as far as a reader can use it. */
export function figure(key: string, value: number, language: string): Figure {
  const match = UNITS.find(([suffix]) => key.endsWith(suffix))
  const name = match ? key.slice(0, -match[0].length) : key
  const digits = Math.abs(value) >= 10 ? 0 : 1
  return {
    plainName: name.replaceAll('_', ' '),
    value: new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value),
    unit: match ? match[1] : null,
  }
}
