"""The peers of the extract bench that move data from APIs: dlt and Airbyte's CDK, from PyPI. Prints one JSON document.

peers.py dlt URL FOLDER   pages of JSON into parquet files, by its rest_api source and its filesystem destination
peers.py airbyte URL      the same pages read by a declarative source, to messages in memory, written nowhere
peers.py versions         which versions these are
"""

import json
import logging
import os
import resource
import sys
import time
from importlib.metadata import version


def measured(work):
    before, began = os.times(), time.perf_counter()
    rows = work()
    seconds, after = time.perf_counter() - began, os.times()
    cpu = sum(getattr(after, of) - getattr(before, of) for of in ("user", "system", "children_user", "children_system"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"rows": rows, "seconds": seconds, "cpu": cpu, "megabytes": peak}


def dlt(url, folder):
    os.environ["DLT_DATA_DIR"] = os.path.join(folder, "dlt")
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
    import dlt
    from dlt.sources.rest_api import rest_api_source

    base, _, path = url.rpartition("/")
    source = rest_api_source({
        "client": {"base_url": base + "/", "paginator": {"type": "json_link", "next_url_path": "next"}},
        "resources": [{"name": "orders", "endpoint": {"path": path, "data_selector": "orders"}}],
    })
    destination = dlt.destinations.filesystem(bucket_url="file://" + os.path.join(folder, "out"))
    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="bench")

    def work():
        pipeline.run(source, loader_file_format="parquet", write_disposition="replace")
        return pipeline.last_trace.last_normalize_info.row_counts["orders"]

    return measured(work)


def airbyte(url):
    logging.disable(logging.CRITICAL)
    from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Type
    from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

    base, _, path = url.rpartition("/")
    stream = {
        "type": "DeclarativeStream",
        "name": "orders",
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {"type": "HttpRequester", "url_base": base, "path": "/" + path, "http_method": "GET"},
            "record_selector": {"type": "RecordSelector", "extractor": {"type": "DpathExtractor", "field_path": ["orders"]}},
            "paginator": {
                "type": "DefaultPaginator",
                "page_token_option": {"type": "RequestPath"},
                "pagination_strategy": {
                    "type": "CursorPagination",
                    "cursor_value": "{{ response['next'] }}",
                    "stop_condition": "{{ not response['next'] }}",
                },
            },
        },
        "schema_loader": {
            "type": "InlineSchemaLoader",
            "schema": {"type": "object", "additionalProperties": True, "properties": {}},
        },
    }
    manifest = {
        "version": version("airbyte-cdk"),
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["orders"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    }
    catalog = ConfiguredAirbyteCatalogSerializer.load({
        "streams": [{
            "stream": {"name": "orders", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "overwrite",
        }]
    })
    source = ConcurrentDeclarativeSource(catalog=catalog, config={}, state=[], source_config=manifest)

    def work():
        messages = source.read(logging.getLogger("bench"), {}, catalog, [])
        return sum(1 for message in messages if message.type == Type.RECORD)

    return measured(work)


def versions():
    return {name: version(name) for name in ("dlt", "airbyte-cdk")}


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    measures = {"dlt": dlt, "airbyte": airbyte, "versions": versions}
    json.dump(measures[command](*arguments), sys.stdout)
