/** Shapes, so that a severity is told by more than its colour. */

import type { Severity } from '../api/types'

const SHAPES: Record<Severity, string> = {
  // A ring, a triangle, an octagon.
  watch: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 3a4 4 0 1 1 0 8 4 4 0 0 1 0-8Z',
  warning: 'M8 1 16 15H0ZM7 6v4h2V6Zm0 5v2h2v-2Z',
  critical: 'M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7ZM7 3.5v6h2v-6Zm0 7v2h2v-2Z',
}

export function SeverityIcon({ severity }: { severity: Severity }) {
  return (
    <svg viewBox="0 0 16 16" fill="currentColor" fillRule="evenodd" aria-hidden="true">
      <path d={SHAPES[severity]} />
    </svg>
  )
}

/** Wrapped for places where React does not reach: the markers that the map library holds. */
export function severityShape(severity: Severity): string {
  return SHAPES[severity]
}
