// Orders of a shop: follows the pages of its API, and brings what is new since the last run.
import { connector, cursor, get, json, setCursor, setting, Table } from './sluice.js';

const orders = { name: 'orders', description: 'Orders of the shop', primaryKey: ['id'], mode: 'append' };

export const pull = connector((settings) => {
  const url = setting(settings, 'url', 'string');
  return {
    check() {
      get(`${url}/me`).ok();
    },
    discover() {
      return [orders];
    },
    sync() {
      const first = `${url}/orders?since=${cursor('orders') ?? ''}`;
      const [until] = new Table(orders).appendPages(first, json('/items', ['/changed_until']), '/next');
      setCursor('orders', until);
    },
  };
});
