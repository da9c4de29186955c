"""Items of an API: follows its pages, and brings what is new since the last run."""

import sluice

ITEMS = sluice.TableSpec("items", "What the items are", primary_key=["id"], mode="append")


class Api(sluice.Connector):
    def __init__(self, settings):
        self.url = sluice.setting(settings, "url", str)

    def check(self):
        sluice.get(f"{self.url}/me").ok()

    def discover(self):
        return [ITEMS]

    def sync(self, tables):
        since = sluice.cursor("items") or ""
        pages = sluice.Json("/items", ["/changed_until"])
        [until] = sluice.Table(ITEMS).append_pages(f"{self.url}/items?since={since}", pages, "/next")
        sluice.set_cursor("items", until)


Pull = sluice.export(Api)
