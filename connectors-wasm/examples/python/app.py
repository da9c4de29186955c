"""Orders of a shop: follows the pages of its API, and brings what is new since the last run."""

import sluice

ORDERS = sluice.TableSpec("orders", "Orders of the shop", primary_key=["id"], mode="append")


class Orders(sluice.Connector):
    def __init__(self, settings):
        self.url = sluice.setting(settings, "url", str)

    def check(self):
        sluice.get(f"{self.url}/me").ok()

    def discover(self):
        return [ORDERS]

    def sync(self, tables):
        since = sluice.cursor("orders") or ""
        pages = sluice.Json("/items", ["/changed_until"])
        [until] = sluice.Table(ORDERS).append_pages(f"{self.url}/orders?since={since}", pages, "/next")
        sluice.set_cursor("orders", until)


Pull = sluice.export(Orders)
