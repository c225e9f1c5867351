"""`aftersend compute-stats`: the KPIs counted anew from the rows, against what the KPI topic and Redis say."""
