"""What an engineer would write for Spark with Delta: text into bronze, the newest row of each key into silver, gold.

Tuned for a small cluster: few shuffle partitions, rows of one day brought together before they are written, one task to
read a table's log, dynamic overwrite of the days that were touched.

Usage: python load.py, in a folder whose `landing` holds the new files; the tables lie beside it
"""

import os
import uuid
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as f

COLUMNS = [
    *("order_id", "line_id", "customer_id", "product_id", "country", "quantity", "unit_price"),
    *("tax", "discount", "currency", "order_ts", "updated_at", "status", "note"),
]
TYPES = {
    **{"order_id": "bigint", "line_id": "int", "customer_id": "bigint", "quantity": "int"},
    **{"unit_price": "decimal(12,2)", "tax": "decimal(12,2)", "discount": "decimal(12,2)"},
    **{"order_ts": "timestamp", "updated_at": "timestamp"},
}
KEY = ["order_id", "line_id"]
NEEDED = [*KEY, "quantity", "unit_price", "order_ts", "updated_at"]


def main(root: str, files: list[str]) -> None:
    spark = session()
    batch = uuid.uuid4().hex
    text = ", ".join(f"{name} string" for name in COLUMNS)
    raw = spark.read.schema(text).csv(files, header=True, multiLine=True, escape='"')  # notes hold lines and quotes
    raw = raw.withColumn("_file", f.col("_metadata.file_path"))
    append(raw.withColumn("_batch", f.lit(batch)), f"{root}/bronze")
    arrived = spark.read.format("delta").load(f"{root}/bronze").where(f.col("_batch") == batch)
    typed = {name: cleaned(name) for name in COLUMNS}
    is_good = (typed["quantity"] >= 1) & f.lit(True)
    for name in NEEDED:
        is_good = is_good & typed[name].isNotNull()
    append(arrived.where(~f.coalesce(is_good, f.lit(False))), f"{root}/rejected")
    good = arrived.where(is_good).select(*(column.alias(name) for name, column in typed.items()))
    by_newest = Window.partitionBy(*KEY).orderBy(f.col("updated_at").desc())
    newest = good.withColumn("_nth", f.row_number().over(by_newest)).where("_nth = 1").drop("_nth")
    newest = newest.withColumn("order_date", f.to_date("order_ts"))
    if Path("silver/_delta_log").exists():
        newest = newest.persist()
        merge(spark, f"{root}/silver", newest)
        days = [row.order_date for row in newest.select("order_date").distinct().collect()]
        touched = f.col("order_date").isin(days)
    else:
        overwrite(newest, f"{root}/silver")
        touched = f.lit(True)
    aggregate(spark, root, touched)
    spark.stop()


def session() -> SparkSession:
    builder = SparkSession.builder.master(os.environ["SPARK_MASTER"]).appName("orders")
    for name, value in {
        "spark.jars": os.environ["DELTA_JARS"],
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "16",
        "spark.sql.sources.partitionOverwriteMode": "dynamic",
        "spark.executor.memory": "3g",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def cleaned(name: str) -> Column:
    """A column as it should be; what cannot be read is null."""
    text = f.nullif(f.trim(f.col(name)), f.lit(""))
    if name in TYPES:
        return text.try_cast(TYPES[name])
    return f.upper(text) if name == "country" else text


def append(rows: DataFrame, table: str) -> None:
    rows.write.format("delta").mode("append").save(table)


def overwrite(rows: DataFrame, table: str) -> None:
    """Write the days of these rows, whole."""
    days = rows.repartition("order_date").write.format("delta").partitionBy("order_date")
    days.mode("overwrite").save(table)


def merge(spark: SparkSession, silver: str, rows: DataFrame) -> None:
    rows.createOrReplaceTempView("newest")
    spark.sql(
        f"MERGE INTO delta.`{silver}` t USING newest s ON t.order_id = s.order_id AND t.line_id = s.line_id "
        "WHEN MATCHED AND s.updated_at > t.updated_at THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )


def aggregate(spark: SparkSession, root: str, touched: Column) -> None:
    money = f.col("quantity") * f.col("unit_price") + f.col("tax") - f.col("discount")
    silver = spark.read.format("delta").load(f"{root}/silver").where(touched)
    revenue = silver.groupBy("order_date", "country", "product_id").agg(
        f.count("*").alias("orders"),
        f.sum("quantity").alias("units"),
        f.sum(money).cast("decimal(18,2)").alias("revenue"),
    )
    overwrite(revenue, f"{root}/gold")


main(os.getcwd(), sorted(str(path.resolve()) for path in Path("landing").iterdir()))
