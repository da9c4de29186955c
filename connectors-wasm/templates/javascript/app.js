// Items of an API: follows its pages, and brings what is new since the last run.
import { connector, cursor, get, json, setCursor, setting, Table } from './sluice.js';

const items = { name: 'items', description: 'What the items are', primaryKey: ['id'], mode: 'append' };

export const pull = connector((settings) => {
  const url = setting(settings, 'url', 'string');
  return {
    check() {
      get(`${url}/me`).ok();
    },
    discover() {
      return [items];
    },
    sync() {
      const first = `${url}/items?since=${cursor('items') ?? ''}`;
      const [until] = new Table(items).appendPages(first, json('/items', ['/changed_until']), '/next');
      setCursor('items', until);
    },
  };
});
