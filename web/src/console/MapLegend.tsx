import './MapLegend.css'

import { useWords } from '../i18n'

export function MapLegend() {
  const { t } = useWords()
  return (
    <ul className="legend" aria-label={t('map.legend')}>
      <li className="legend__drone">{t('map.drone')}</li>
      <li className="legend__footprint">{t('map.footprint')}</li>
      <li className="legend__person">{t('map.person')}</li>
      <li className="legend__ellipse">{t('map.ellipse')}</li>
    </ul>
  )
}
