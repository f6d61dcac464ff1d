/** How sure the station is, in calibrated words. */

export type Likelihood = 'almostCertain' | 'veryLikely' | 'likely' | 'evenChance' | 'unlikely'

/**
 * Words for a probability.
 *
 * The thresholds are those of the IPCC's calibrated language (Guidance Note on Consistent Treatment of
 * Uncertainties, 2010, table 1): 99, 90, 66 and 33 percent.
 */
export function likelihood(confidence: number): Likelihood {
  if (confidence >= 0.99) return 'almostCertain'
  if (confidence >= 0.9) return 'veryLikely'
  if (confidence >= 0.66) return 'likely'
  if (confidence >= 0.33) return 'evenChance'
  return 'unlikely'
}
