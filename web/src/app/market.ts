import { useQuery } from '@tanstack/react-query'

import { station } from '../api/client'

/** The market map, asked for once. Undefined while it is being read, null when it cannot be had. */
export function useMarket(): GeoJSON.FeatureCollection | null | undefined {
  const query = useQuery({ queryKey: ['market'], queryFn: ({ signal }) => station.market(signal) })
  return query.isError ? null : query.data
}
