// A dashboard with Grafana's own components: its panels where their grid says, over the answers in window.DATA.
import 'uplot/dist/uPlot.min.css';
import React from 'react';
import { createRoot } from 'react-dom/client';
import {
  FieldConfigOptionsRegistry, FieldType, applyFieldOverrides, createTheme, dateTime, formattedValueToString, getFieldDisplayName,
  getFieldDisplayValues, standardTransformers, standardTransformersRegistry, toDataFrame, transformDataFrame,
} from '@grafana/data';
import { BigValue, GlobalStyles, PanelChrome, Table, ThemeContext, TimeSeries } from '@grafana/ui';

const { panels, variables, results, from, to, step, width } = window.DATA;
const ROW = 38;
const theme = createTheme({ colors: { mode: 'dark' } });

// What Grafana registers when it starts.
const known = new Map(Object.values(standardTransformers).map((each) => [each.id, each]));
standardTransformersRegistry.setInit(() =>
  [...known.values()].map((each) => ({ id: each.id, name: each.name, transformation: each, editor: () => null })),
);
const property = (id, path, isCustom) =>
  ({ id, path, isCustom, name: id, editor: () => null, override: () => null, process: (value) => value, shouldApply: () => true, settings: {} });
const own = ['unit', 'min', 'max', 'decimals', 'color', 'mappings', 'thresholds', 'noValue', 'links', 'displayName'];
const custom = [
  'align', 'axisPlacement', 'axisSoftMax', 'cellOptions', 'drawStyle', 'fillOpacity', 'filterable', 'gradientMode', 'hideFrom', 'inspect',
  'lineStyle', 'lineWidth', 'minWidth', 'pointSize', 'scaleDistribution', 'showPoints', 'spanNulls', 'stacking', 'width',
];
const registry = new FieldConfigOptionsRegistry(() => [
  ...own.map((id) => property(id, id, false)), ...custom.map((id) => property(`custom.${id}`, id, true)),
]);
const THRESHOLDS = { mode: 'absolute', steps: [{ value: -Infinity, color: 'green' }, { value: 80, color: 'red' }] };
const CUSTOM = {
  timeseries: {
    drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1, fillOpacity: 0, showPoints: 'auto', pointSize: 5, spanNulls: false,
    axisPlacement: 'auto', stacking: { mode: 'none', group: 'A' }, thresholdsStyle: { mode: 'off' }, gradientMode: 'none',
    scaleDistribution: { type: 'linear' }, hideFrom: { viz: false, legend: false, tooltip: false },
  },
  table: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false },
};

const replaced = (text) => (text ?? '').replace(/\$\{?(\w+)\}?/g, (whole, name) => variables[name] ?? whole);
const legend = (format, labels) => format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name) => labels[name] ?? '');

// The frames that Grafana's Prometheus data source makes of a panel's answers.
function answered(panel) {
  const tables = panel.targets.filter((target) => target.format === 'table');
  return panel.targets.flatMap((target) => {
    const series = results[panel.id + target.refId];
    if (target.format === 'table') {
      if (!series.length) return [];
      const names = [...new Set(series.flatMap((each) => Object.keys(each.labels)))].sort();
      return [toDataFrame({ refId: target.refId, fields: [
        { name: 'Time', type: FieldType.time, values: series.map((each) => each.points[0][0] * 1000) },
        ...names.map((name) => ({ name, type: FieldType.string, values: series.map((each) => each.labels[name] ?? '') })),
        { name: tables.length > 1 ? `Value #${target.refId}` : 'Value', type: FieldType.number, values: series.map((each) => each.points[0][1]) },
      ] })];
    }
    return series.map(({ labels, points }) => toDataFrame({ refId: target.refId, name: legend(target.legendFormat, labels), fields: [
      { name: 'Time', type: FieldType.time, values: points.map(([at]) => at * 1000), config: { interval: step * 1000 } },
      { name: 'Value', type: FieldType.number, labels, values: points.map(([, value]) => value),
        config: { displayNameFromDS: legend(target.legendFormat, labels) } },
    ] }));
  });
}

async function prepared(panel) {
  let frames = answered(panel);
  if (panel.transformations?.length)
    frames = await new Promise((done, failed) =>
      transformDataFrame(panel.transformations, frames, { interpolate: (text) => text }).subscribe({ next: done, error: failed }));
  const { defaults, overrides = [] } = panel.fieldConfig;
  const color = { mode: ['timeseries', 'barchart'].includes(panel.type) ? 'palette-classic' : 'thresholds' };
  const fieldConfig = {
    defaults: { color, thresholds: THRESHOLDS, mappings: [], ...defaults, custom: { ...CUSTOM[panel.type], ...defaults.custom } }, overrides,
  };
  return applyFieldOverrides({ data: frames, fieldConfig, fieldConfigRegistry: registry, replaceVariables: (text) => text, theme, timeZone: 'utc' });
}

const Nothing = ({ panel }) => (
  <div style={{ height: '100%', display: 'flex', alignItems: 'center', justifyContent: 'center', color: theme.colors.text.secondary }}>
    {panel.fieldConfig.defaults.noValue ?? 'No data'}
  </div>
);

// Bar charts and heat maps live in Grafana itself, so these two are sketches.
function Bars({ panel, frames: [frame], width, height }) {
  const bins = frame.fields.find((field) => field.name === panel.options.xField);
  const shares = frame.fields.filter((field) => field.type === FieldType.number);
  const left = 48, bottom = height - 84, wide = (width - left) / bins.values.length;
  const top = 1.05 * Math.max(...shares.flatMap((field) => field.values.filter((value) => value !== null)));
  return (
    <svg width={width} height={height}>
      {[0, 0.5, 1].map((part) => (
        <g key={part}>
          <text x={left - 6} y={bottom * (1 - part * 0.95) + 4} textAnchor="end" fill="#ccccdc" fontSize={12}>
            {formattedValueToString(shares[0].display(part * top * 0.95))}
          </text>
          <path d={`M${left} ${bottom * (1 - part * 0.95)}H${width}`} stroke="rgba(240,250,255,0.09)" />
        </g>
      ))}
      {bins.values.map((bin, index) => (
        <g key={bin}>
          {shares.map((field, place) => {
            const tall = bottom * (field.values[index] ?? 0) / top, each = wide * 0.8 / shares.length;
            return <rect key={place} x={left + index * wide + wide * 0.1 + place * each} y={bottom - tall} width={each} height={tall}
              fill={field.config.color.fixedColor} />;
          })}
          <text fontSize={11} fill="#ccccdc" textAnchor="end" transform={`translate(${left + (index + 0.6) * wide},${bottom + 14}) rotate(-25)`}>{bin}</text>
        </g>
      ))}
      {shares.map((field, place) => (
        <g key={place}>
          <rect x={4 + place * 80} y={height - 12} width={14} height={4} rx={2} fill={field.config.color.fixedColor} />
          <text x={24 + place * 80} y={height - 6} fontSize={12} fill="#ccccdc">{getFieldDisplayName(field, frame)}</text>
        </g>
      ))}
    </svg>
  );
}

const VIRIDIS = ['#440154', '#46327e', '#365c8d', '#277f8e', '#1fa187', '#4ac16d', '#a0da39', '#fde725'];

function Heat({ frames, width, height }) {
  const left = 100, bottom = height - 24, tall = bottom / frames.length, across = (width - left) / (to - from);
  const most = Math.max(...frames.flatMap((frame) => frame.fields[1].values));
  const color = (value) => VIRIDIS[Math.min(7, Math.floor(8 * value / most))];
  return (
    <svg width={width} height={height}>
      {frames.map((frame, index) => {
        const [times, values] = frame.fields.map((field) => field.values), y = bottom - (index + 1) * tall, runs = [];
        values.forEach((value, at) => {
          const last = runs.at(-1), till = Math.min(times[at] / 1000 + step, to);
          if (last?.color === color(value)) last.till = till;
          else runs.push({ color: color(value), since: times[at] / 1000, till });
        });
        return (
          <g key={index}>
            <text x={0} y={y + tall / 2 + 4} fontSize={11} fill="#ccccdc">{getFieldDisplayName(frame.fields[1], frame, frames)}</text>
            {runs.map((run) => <rect key={run.since} x={Math.round(left + (run.since - from) * across)} y={Math.round(y)}
              width={Math.round((run.till - run.since) * across)} height={Math.round(tall) - 1} fill={run.color} />)}
          </g>
        );
      })}
      {[0, 1, 2, 3, 4, 5, 6].map((hour) => (
        <text key={hour} x={left + hour * 3600 * across} y={height - 6} fontSize={12} fill="#ccccdc" textAnchor={hour === 6 ? 'end' : 'middle'}>
          {dateTime((from + hour * 3600) * 1000).utc().format('HH:mm')}
        </text>
      ))}
    </svg>
  );
}

function Body({ panel, frames, width, height }) {
  if (panel.type === 'stat') {
    const asked = { fieldConfig: panel.fieldConfig, reduceOptions: { calcs: ['lastNotNull'] }, replaceVariables: (text) => text };
    const [shown] = getFieldDisplayValues({ ...asked, theme, data: frames, timeZone: 'utc' });
    return <BigValue value={shown.display} width={width} height={height} theme={theme} colorMode={panel.options.colorMode} graphMode="none" textMode="value" />;
  }
  if (!frames.some((frame) => frame.length)) return <Nothing panel={panel} />;
  if (panel.type === 'barchart') return <Bars {...{ panel, frames, width, height }} />;
  if (panel.type === 'heatmap') return <Heat {...{ frames, width, height }} />;
  if (panel.type === 'table') return <Table data={frames[0]} width={width} height={height} initialSortBy={panel.options.sortBy} />;
  const range = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: '', to: '' } };
  return <TimeSeries frames={frames} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height}
    legend={{ calcs: [], ...panel.options.legend }} options={panel.options} theme={theme} />;
}

const cell = width / 24;
const shown = await Promise.all(panels.map(async (panel) => {
  const { x, y, w, h } = panel.gridPos, place = { position: 'absolute', left: x * cell + 4, top: y * ROW + 4 };
  if (panel.type === 'row') return <div key={panel.id} style={{ ...place, fontSize: 18 }}>{panel.collapsed ? '›' : '⌄'} {replaced(panel.title)}</div>;
  const frames = await prepared(panel);
  return (
    <div key={panel.id} style={place}>
      <PanelChrome width={w * cell - 8} height={h * ROW - 8} title={replaced(panel.title)}>
        {(width, height) => <Body {...{ panel, frames, width, height }} />}
      </PanelChrome>
    </div>
  );
}));
const height = Math.max(...panels.map(({ gridPos }) => (gridPos.y + gridPos.h) * ROW)) + 4;
document.body.style.cssText = `margin: 0; background: ${theme.colors.background.canvas}; color: ${theme.colors.text.primary}; font: 14px Inter, Helvetica, Arial, sans-serif`;
createRoot(document.getElementById('root')).render(
  <ThemeContext.Provider value={theme}><GlobalStyles /><div style={{ position: 'relative', width, height }}>{shown}</div></ThemeContext.Provider>,
);
setTimeout(() => {
  const text = document.createElement('pre');
  text.id = 'svg';
  text.textContent = window.picture(width, height);
  document.body.append(text);
}, 3000);
